"""The passes that move and merge layers, on random graphs full of what they look for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Shuffle
from cnndsl.passes.concat_activation import ConcatActivation
from cnndsl.passes.depthwise_prologue import DepthwisePrologue
from cnndsl.passes.pipeline import LEVELS, REDUCING, RESHAPING, inference_graph, optimise
from cnndsl.passes.pool_epilogue import PoolEpilogue
from cnndsl.passes.shuffle_prologue import ShufflePrologue
from cnndsl.passes.strided import StridedConv
from tests.passes.random_graphs import Grower, Sample
from tests.passes.test_random_graphs import assert_same_outputs

NEIGHBOURS = (ShufflePrologue(), ConcatActivation(), PoolEpilogue(), DepthwisePrologue())
MOVING = [step.name for step in (StridedConv(), *REDUCING, *RESHAPING, *NEIGHBOURS)]


class PatternGrower(Grower):
    """Draws the patterns and their near misses; what stands between and around them varies."""

    def grow(self) -> None:
        patterns = (
            self.layer, self.pooled, self.stacked, self.parallel, self.branches, self.shuffled,
            self.separable, self.shortcut, self.window, self.summed, self.skipped, self.shuffled,
            self.concatenated,
        )  # fmt: skip
        self.draw(st.sampled_from(patterns))()
        if len(self.nodes) == len(self.graph.inputs):
            self.add("relu", self.nodes[0])

    def map(self) -> Node:
        """A value with spatial axes."""
        maps = [node for node in self.nodes if node.type.rank]
        return self.draw(st.sampled_from(maps[-3:]))

    def some_conv(self, x: Node, filters: int, kernel: int = 1, **given: Any) -> Node:
        options = {
            "bias": self.draw(st.booleans()),
            "pad": self.draw(st.sampled_from(["same", "same", "valid"])),
            "stride": self.draw(st.sampled_from([1, 1, 1, 2])),
            **given,
        }
        return self.add("conv", x, filters=filters, kernel=kernel, **options)

    def maybe(self, x: Node, *names: str) -> Node:
        name = self.draw(st.sampled_from(("", "", *names)))
        return self.add(name, x) if name else x

    def pooled(self) -> None:
        """A convolution before a pool."""
        x = self.some_conv(self.map(), 2, self.draw(st.sampled_from([1, 1, 1, 2])))
        x = self.maybe(x, "bn", "relu")
        pad = self.draw(st.sampled_from(["valid", "same"]))
        options = {"kernel": 2, "stride": 2, "pad": pad, "ceil": self.draw(st.booleans())}
        kind = self.draw(
            st.sampled_from(["avgpool", "distance_avgpool", "global_avgpool", "maxpool"])
        )
        if kind == "avgpool":
            options["include_pad"] = self.draw(st.booleans())
        x = self.add(kind, x, **({} if kind == "global_avgpool" else options))
        if x.type.rank:
            self.maybe(x, "maxpool2")

    def stacked(self) -> None:
        """Two convolutions in a row, in groups or not."""
        groups = self.draw(st.sampled_from([1, 1, 2]))
        x = self.some_conv(self.map(), 4, 1)
        kernels = self.draw(st.sampled_from([(1, 3), (3, 1), (1, 1), (2, 2)]))
        for kernel in kernels:
            x = self.some_conv(x, self.draw(st.sampled_from([2, 4, 6])), kernel, groups=groups)
        self.maybe(x, "relu")

    def parallel(self) -> None:
        """Convolutions of one value, perhaps activated together."""
        x, kernel = self.map(), self.draw(st.integers(1, 2))
        stride = self.draw(st.integers(1, 2))
        kind = self.draw(st.sampled_from(["", "relu", "tanh"]))
        parts = []
        for _ in range(self.draw(st.integers(2, 3))):
            part = self.some_conv(x, self.draw(st.integers(1, 3)), kernel, stride=stride, pad=0)
            parts.append(self.add(kind, part) if kind else self.maybe(part, "relu", "bn"))
        self.maybe(self.add("concat", *parts), "relu", "silu", "prelu")

    def branches(self) -> None:
        """The branch forms of a grouped convolution, summed or concatenated."""
        x = self.map()
        sliced = x.type.channels % 2 == 0 and self.draw(st.booleans())
        activation = self.draw(st.sampled_from(["relu", "", "bn"]))
        last = self.draw(st.booleans())
        ends = []
        for index in range(2):
            half = x.type.channels // 2
            if sliced:
                part = self.add("slice", x, start=index * half, stop=(index + 1) * half)
            else:
                part = self.maybe(self.some_conv(x, 2, stride=1), "relu")
            end = self.some_conv(part, 2, 3, stride=1, pad="same")
            end = self.add(activation, end) if activation else end
            ends.append(self.some_conv(end, 3, stride=1) if last else end)
        extra = self.draw(st.sampled_from([[], [ends[0]]]))
        self.add("add" if last else "concat", *ends, *extra)

    def summed(self) -> None:
        """Linear layers of one value, added up, and perhaps the value itself."""
        x = self.map()
        groups = self.draw(st.sampled_from([1, 1, 2]))
        x = self.some_conv(x, 4) if groups == 2 or self.draw(st.booleans()) else x
        stride, dilation = self.draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
        filters = self.draw(st.sampled_from([x.type.channels, 2]))
        terms = []
        for _ in range(self.draw(st.integers(1, 3))):
            kernel = self.draw(st.sampled_from([1, 1, 2, 3, [1, 3]]))
            options = {"stride": stride, "dilation": dilation, "groups": groups}
            flipped = self.draw(st.booleans())
            term = self.some_conv(x, filters, kernel, pad="same", flip=flipped, **options)
            terms.append(self.maybe(term, "bn"))
        if terms[0].type == x.type:
            terms += [x, self.add("bn", x)][: self.draw(st.integers(0, 2))]
        if len(terms) > 1:
            self.maybe(self.add("add", *terms), "relu", "bn")

    def concatenated(self) -> None:
        """An activation of what different operators make."""
        x = self.map()
        parts = [self.some_conv(x, 2, 3, stride=1, pad="same"), self.add("relu", x)]
        self.add(self.draw(st.sampled_from(["relu", "silu"])), self.add("concat", *parts))

    def skipped(self) -> None:
        """Readers that skip positions, behind pointwise operators behind convolutions."""
        first = self.some_conv(self.map(), 4, 3, stride=1, pad="same")
        x = self.maybe(first, "relu", "bn", "prelu")
        other = self.draw(st.sampled_from([x, first]))
        x = self.add(self.draw(st.sampled_from(["add", "mul", "concat"])), x, other)
        x = self.maybe(x, "relu", "tanh")
        for _ in range(self.draw(st.integers(1, 2))):
            if self.draw(st.booleans()):
                self.add("subsample", x, stride=2)
            else:
                self.add("conv", x, filters=2, kernel=1, stride=2)

    def shuffled(self) -> None:
        """A shuffle between convolutions, depthwise ones and elementwise operators."""
        x = self.some_conv(self.map(), 6, 1, groups=self.draw(st.sampled_from([1, 2, 2])))
        x = self.maybe(x, "prelu", "bn", "maxpool2")
        x = self.maybe(x, "depthwise3")
        x = self.add("shuffle", x, groups=self.draw(st.sampled_from([2, 3])))
        x = self.maybe(x, "depthwise3", "avgpool2")
        x = self.maybe(x, "relu", "scale", "bn")
        if self.draw(st.sampled_from([True, True, False])):
            self.some_conv(x, 2, groups=self.draw(st.sampled_from([1, 2, 2])))
        else:
            self.add("fc", x, units=2)

    def separable(self) -> None:
        """A depthwise convolution before a pointwise one."""
        x = self.maybe(self.map(), "bn", "relu")
        x = self.add("depthwise", x, kernel=3, stride=self.draw(st.sampled_from([1, 2])))
        x = self.maybe(x, "bn", "relu", "prelu")
        x = self.maybe(x, "maxpool2")
        self.some_conv(x, 4, self.draw(st.sampled_from([1, 1, 2])))

    def add(self, operator: str, *operands: Node, **attributes: object) -> Node:
        if operator[-1] in "23":
            attributes = {"kernel": int(operator[-1]), **attributes}
            operator = operator[:-1]
        if operator == "scale" and not attributes:
            attributes = {"factor": 2.5, "shift": 1.0}
        return super().add(operator, *operands, **attributes)

    def shortcut(self) -> None:
        """A zero-padded shortcut around a convolution."""
        x = self.map()
        channels = x.type.channels + self.draw(st.integers(0, 2))
        residual = self.maybe(self.some_conv(x, channels, 3, stride=1, pad="same"), "bn")
        padded = self.add("pad_channels", x, channels=channels)
        pair = self.draw(st.permutations([residual, padded]))
        self.maybe(self.add("add", *pair), "relu", "prelu", "bn")

    def window(self) -> None:
        """A convolution of a whole map, and something that makes a vector of it."""
        x = self.map()
        kernel = list(x.type.spatial)
        x = self.add("conv", x, filters=3, kernel=kernel, pad=0, bias=self.draw(st.booleans()))
        x = self.maybe(x, "relu", "bn", "prelu")
        self.add(self.draw(st.sampled_from(["flatten", "global_maxpool", "softmax"])), x)


@st.composite
def pattern_samples(draw: st.DrawFn) -> Sample:
    grower = PatternGrower(draw)
    for _ in range(draw(st.integers(1, 4))):
        grower.grow()
    return grower.finish()


def test_patterns_keep_the_outputs() -> None:
    """In 400 graphs every one of these passes finds something to do, and no output changes."""
    matched = Counter[str]()

    @given(pattern_samples(), st.sets(st.sampled_from(MOVING), max_size=3))
    @settings(
        max_examples=400,
        derandomize=True,
    )
    def keep(sample: Sample, disable: set[str]) -> None:
        optimised, runs = optimise(sample.graph, max(LEVELS), disable=disable, verify=True)
        matched.update({run.name: len(run.report.matched) for run in runs})
        assert_same_outputs(sample, optimised)

    keep()
    assert [name for name in MOVING if not matched[name]] == []


def test_parallel_branches_of_repvgg_cost_one_convolution() -> None:
    """Ding et al. (2021), figure 2: of convolutions 3x3 and 1x1 and an identity one is left."""
    graph = cnndsl.parse(
        "block unit(width, stride) { let x = identity\n let three = conv(width, 3, stride=stride)"
        " -> bn\n let one = x -> conv(width, 1, stride=stride) -> bn\n"
        "if stride == 1 { add { three | one | x -> bn } } else { add { three | one } }\n relu }\n"
        "network repvgg { input image [3, 32, 32]\n unit(16, 2) -> unit(16, 1) -> unit(16, 1) }"
    ).graph
    optimised, _ = optimise(graph, fusions=())
    assert [node.op.name for node in optimised.nodes()] == ["input", *["conv", "relu"] * 3]
    assert graph_cost(optimised).macs == 16 * 16 * 9 * (3 * 16 + 2 * 16 * 16)


def test_only_a_quarter_is_computed_before_two_strides_of_1x1() -> None:
    """He et al. (2016): where the stride is in the 1x1 convolutions, all the next stage reads."""
    text = (
        "network tail {{ input image [8, 12, 12]\n let x = conv(8, 3)\n"
        "add {{ x -> conv(8, 3) -> relu -> conv(8, 1{stride}) | x {skip} }} -> relu\n"
        "add {{ conv(16, 1{next}) | conv(16, 1{next}) -> relu }} }}"
    )
    late = cnndsl.parse(text.format(stride="", skip="", next=", stride=2")).graph
    early = cnndsl.parse(text.format(stride=", stride=2", skip="-> subsample(2)", next="")).graph
    costs = [graph_cost(optimise(graph)[0]).macs for graph in (late, early)]
    assert costs[0] == costs[1] < graph_cost(late).macs


def shape_of(graph: Graph) -> list[tuple[object, ...]]:
    """Operators, types and edges, whatever the names."""
    place = {node.name: index for index, node in enumerate(graph.nodes())}
    return [
        (node.op, node.type, [place[operand.name] for operand in graph.producers(node)])
        for node in graph.nodes()
    ]


def test_the_forms_of_a_resnext_unit_become_one() -> None:
    """Xie et al. (2017), figure 3: (a), (b) and (c) are the same function."""
    graphs = [
        optimise(cnndsl.parse(name).graph)[0]
        for name in ("resnext_forms", "resnext_summed", "resnext_joined_early")
    ]
    grouped, *others = [shape_of(graph) for graph in graphs]
    assert [other == grouped for other in others] == [True, True]


def test_transitions_of_densenet_cost_a_quarter() -> None:
    """Each transition's 1x1 convolution runs on 2x2 times fewer positions."""
    graph = cnndsl.parse("densenet121").graph
    before, after = graph_cost(inference_graph(graph)), graph_cost(optimise(graph)[0])
    transitions = [(56, 256, 128), (28, 512, 256), (14, 1024, 512)]
    saved = sum(size * size * a * b * 3 // 4 for size, a, b in transitions)
    assert before.macs is not None
    assert after.macs == before.macs - saved


def test_no_shuffle_is_left_in_shufflenet() -> None:
    """Of its 16 units only the first convolution of the first one is not grouped."""
    graph, runs = optimise(cnndsl.parse("shufflenet_v1_g3_1x").graph)
    reports = {run.name: run.report for run in runs}
    dense, grouped = reports["fold-shuffle"], reports["shuffle-prologue"]
    assert [fate.node for fate in dense.matched] == ["stage2.0.branch1.shuffle1"]
    assert len(dense.rejected) == len(grouped.matched) == 15
    assert not any(isinstance(node.op, Shuffle) for node in graph.nodes())
