"""Random graphs with random parameters and inputs, as a hypothesis strategy.

They are made of what passes and plans stumble over: fan-out, shared weights, groups, padding,
transposed convolutions, tables, concatenations of concatenations, vectors that join maps, squeeze
and excitation, outputs in the middle, and batch normalisations with tiny variances, large means and
negative scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from cnndsl.ir.attributes import build, required_attributes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import BY_NAME, OPERATORS, Activation, Add, Input
from cnndsl.runtime.module import Array
from tests.operators.cases import apply
from tests.passes.values import nasty_values

LARGEST = 1200
"""Elements of a tensor."""

BOUNDED = ("exp", "log", "sqrt", "reciprocal", "square")
"""Functions of numbers that are neither large nor near zero, or they would hide all others."""
ACTIVATIONS = [
    op.name
    for op in OPERATORS
    if issubclass(op, Activation) and not required_attributes(op) and op.name not in BOUNDED
]
JOINS = ("add", "sub", "mul", "max", "min", "average")


@dataclass(frozen=True)
class Sample:
    """A graph with float64 values for its parameters and inputs."""

    graph: Graph
    values: dict[str, Array]
    inputs: dict[str, Array]


@st.composite
def samples(draw: st.DrawFn, most: int = 9) -> Sample:
    """Graphs of up to `most` operators and small groups of them, with one or two inputs,
    of one size or two."""
    grower = Grower(draw)
    for _ in range(draw(st.integers(2, most))):
        grower.grow()
    return grower.finish()


class Grower:
    """Adds one operator at a time behind nodes that are there."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        self.graph = Graph("random")
        rank = draw(st.sampled_from([2, 2, 2, 1, 3]))
        sizes = st.integers(4, 7) if rank < 3 else st.integers(3, 4)
        spatial = tuple(draw(sizes) for _ in range(rank))
        for index in range(draw(st.sampled_from([1, 1, 2]))):
            if index and draw(st.booleans()):
                spatial = tuple(draw(sizes) for _ in range(rank))
            shape = (draw(st.sampled_from([1, 2, 3, 4])), *spatial)
            self.graph.add(f"x{index}", Input(shape), [])
        self.graph.inputs = list(self.graph.nx)
        self.nodes = [self.graph[name] for name in self.graph.inputs]

    def pick(self) -> Node:
        """A node; those that nothing reads yet are the likeliest."""
        unread = [node for node in self.nodes if not self.graph.consumers(node)]
        return self.draw(st.sampled_from(self.nodes[-4:] + unread * 3))

    def grow(self) -> None:
        self.draw(st.sampled_from(RECIPES))(self)
        if len(self.nodes) == len(self.graph.inputs):
            self.add("relu", self.nodes[0])

    def add(self, operator: str, *operands: Node, **attributes: object) -> Node:
        """Add a node and return it; the first operand if the operator does not fit."""
        op = build(BY_NAME[operator], attributes)
        types = [operand.type for operand in operands]
        try:
            result = op.bind(types).infer(types)
        except OperatorError:
            return operands[0]
        if result.elements > LARGEST:
            return operands[0]
        node = apply(self.graph, f"n{len(self.graph)}", op, list(operands))
        self.nodes.append(self._shared(node))
        return self.nodes[-1]

    def _shared(self, node: Node) -> Node:
        """The node, sometimes with the weights of an earlier one."""
        shapes = {role: expression.shape for role, expression in node.params.items()}
        twins = [
            other
            for other in self.nodes
            if type(other.op) is type(node.op)
            and not other.op.constants()
            and shapes == {role: expression.shape for role, expression in other.params.items()}
        ]
        if node.op.constants() or not shapes or not twins or not self.draw(st.booleans()):
            return node
        return self.graph.update(node, params=self.draw(st.sampled_from(twins)).params)

    def conv(self, x: Node | None = None) -> Node:
        x = self.pick() if x is None else x
        if x.type.rank == 0:
            return self.add("fc", x, units=self.draw(st.integers(1, 4)))
        groups = self.draw(st.sampled_from([1, 1, x.type.channels]))
        return self.add(
            self.draw(st.sampled_from(["conv", "conv", "conv", "conv_transpose"])),
            x,
            filters=groups * self.draw(st.integers(1, 4)),
            kernel=self.draw(st.integers(1, 3)),
            stride=self.draw(st.sampled_from([1, 1, 2])),
            dilation=self.draw(st.sampled_from([1, 1, 2])),
            pad=self.draw(st.sampled_from(["same", "valid", "valid", "full", 1])),
            groups=groups,
            bias=self.draw(st.booleans()),
        )

    def layer(self) -> None:
        """Convolution, normalisation and activation in one of the usual orders."""
        x = self.pick()
        norm, activation = self.draw(st.sampled_from(["bn", "scale"])), "relu"
        order = self.draw(st.sampled_from(["cna", "nac", "nc", "ca", "cs"]))
        for step in order:
            if step == "c":
                x = self.conv(x)
            elif step == "s":
                x = self.add("subsample", x, stride=2)
            else:
                x = self.add(norm if step == "n" else activation, x)

    def block(self) -> None:
        """Two branches of one value, joined, with something behind them."""
        x = self.pick()
        branches = [
            self.add(self.draw(st.sampled_from(["identity", "bn", "relu"])), self.pointwise(x))
            if self.draw(st.booleans())
            else self.pointwise(x)
            for _ in range(2)
        ]
        joined = self.add(self.draw(st.sampled_from(["add", "concat"])), *branches)
        self.add(self.draw(st.sampled_from(["bn", "scale", "relu"])), joined)

    def pointwise(self, x: Node) -> Node:
        if x.type.rank == 0:
            return self.add("fc", x, units=2)
        return self.add("conv", x, filters=2, kernel=1, bias=self.draw(st.booleans()))

    def twin(self) -> None:
        """The latest node once more."""
        node = self.nodes[-1]
        if len(self.nodes) > len(self.graph.inputs):
            operands = self.graph.producers(node)
            name = f"n{len(self.graph)}"
            self.nodes.append(self.graph.add(name, node.op, operands, node.params))

    def special_conv(self) -> None:
        x = self.pick()
        filters = self.draw(st.integers(1, 3))
        bias = self.draw(st.booleans())
        pad = self.draw(st.sampled_from(["same", "valid", "valid"]))
        kind = self.draw(st.sampled_from(["table", "flip", "constant", "local", "tiled"]))
        if kind in ("local", "tiled"):
            period = {"period": 2} if kind == "tiled" else {}
            name = f"{kind}_conv"
            self.add(name, x, filters=filters, kernel=2, pad=pad, bias=bias, **period)
            return
        rows = st.sets(st.integers(0, x.type.channels - 1), min_size=1).map(sorted)
        shape = (filters, x.type.channels, *(2,) * x.type.rank)
        extra = {
            "table": {"table": [self.draw(rows) for _ in range(filters)]},
            "flip": {"flip": True},
            "constant": {"weight": np.linspace(-1, 1, math.prod(shape)).reshape(shape).tolist()},
        }
        self.add("conv", x, filters=filters, kernel=2, pad=pad, bias=bias, **extra[kind])

    def normalise(self) -> None:
        self.add(self.draw(st.sampled_from(["bn", "bn", "bn", "affine"])), self.pick())

    def normalise_groups(self) -> None:
        x = self.pick()
        channels = x.type.channels
        options: list[tuple[str, dict[str, object]]] = [
            ("layer_norm", {}),
            ("instance_norm", {"affine": self.draw(st.booleans())}),
            ("group_norm", {"groups": self.draw(st.sampled_from([1, 2, channels]))}),
            ("l2_normalise", {"scale": self.draw(st.booleans())}),
            ("rms_norm", {}),
            ("softmax", {}),
            ("log_softmax", {}),
            ("channel_mean", {}),
        ]
        name, attributes = self.draw(st.sampled_from(options))
        self.add(name, x, **attributes)

    def scale(self) -> None:
        factor = self.draw(st.sampled_from([1.0, -1.0, 0.1, 2.5]))
        self.add("scale", self.pick(), factor=factor, shift=self.draw(st.sampled_from([0, 0, 3])))

    def activate(self) -> None:
        self.add(self.draw(st.sampled_from(("relu", "relu", "relu", *ACTIVATIONS))), self.pick())

    def bounded(self, x: Node | None = None) -> Node:
        """A function of numbers that are neither large nor near zero."""
        x = self.add("clamp", self.pick() if x is None else x, low=0.5, high=3)
        return self.add(self.draw(st.sampled_from(BOUNDED)), x)

    def join(self) -> None:
        x = self.pick()
        fitting = [n for n in self.nodes if self.repeats(n, x)]
        others = self.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2))
        self.joined(x, *others)

    def repeats(self, small: Node, x: Node) -> bool:
        """Whether a join of both has the type of x."""
        try:
            return Add().infer([x.type, small.type]) == x.type
        except OperatorError:
            return False

    def joined(self, *operands: Node) -> None:
        name = self.draw(st.sampled_from(("add", "add", "div", *JOINS)))
        if name == "div":
            operands = (operands[0], *map(self.bounded, operands[1:]))
        self.add(name, *operands)

    def repeated(self) -> None:
        """A convolution, or another value, and what is repeated along some of its axes."""
        x = self.conv() if self.draw(st.booleans()) else self.pick()
        small = x if self.draw(st.booleans()) else self.pick()
        for name, attributes in (("channel_max", {}), ("adaptive_avgpool", {"size": 1})):
            if self.draw(st.booleans()):
                small = self.add(name, small, **attributes)
        if self.repeats(small, x):
            self.joined(*self.draw(st.permutations([x, small])))

    def fixed(self) -> None:
        """A value and one that depends on none, perhaps repeated along some axes."""
        x = self.conv() if self.draw(st.booleans()) else self.pick()
        channels, *spatial = x.type.sizes
        shapes = ([channels, *spatial], [channels, *[1] * len(spatial)], [1, *spatial], [channels])
        shape = self.draw(st.sampled_from((*shapes, [1])))
        if self.draw(st.booleans()):
            value = self.add("parameter", x, shape=shape)
        else:
            numbers = np.linspace(-1, 2, math.prod(shape)).reshape(shape)
            value = self.add("constant", x, values=numbers.tolist())
        self.joined(*self.draw(st.permutations([x, value])))

    def attend(self) -> None:
        """Products of two maps with a softmax between them, or values chosen by scores."""
        x, y = self.pick(), self.pick()
        if self.draw(st.booleans()):
            values = [n for n in self.nodes if n.type == x.type]
            self.add("softmax_sum", x, *self.draw(st.lists(st.sampled_from(values), min_size=1)))
            return
        scores = self.add("matmul_transposed", x, y)
        if scores is not x:
            self.add("matmul", x, self.add("softmax", scores))

    def concat(self) -> None:
        x = self.pick()
        fitting = [n for n in self.nodes if n.type.spatial == x.type.spatial]
        name = self.draw(st.sampled_from(["concat", "concat", "concat_width", "concat_length"]))
        if name != "concat":
            fitting = [x]
        self.add(name, *self.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2)), x)

    def pool(self) -> None:
        name = self.draw(st.sampled_from(["maxpool", "avgpool", "l2pool"]))
        kernel = self.draw(st.integers(1, 2))
        self.add(name, self.pick(), kernel=kernel, stride=self.draw(st.integers(1, 2)),
                 pad=self.draw(st.sampled_from(["valid", "same"])))  # fmt: skip

    def reshape(self) -> None:
        x = self.pick()
        channels = x.type.channels
        options: list[tuple[str, dict[str, object]]] = [
            ("slice", {"start": channels // 2, "stop": channels}),
            ("slice", {"start": 0, "stop": (channels + 1) // 2}),
            ("shuffle", {"groups": self.draw(st.sampled_from([1, 2, channels]))}),
            ("pad_channels", {"channels": channels + self.draw(st.integers(0, 2))}),
            ("subsample", {"stride": self.draw(st.integers(1, 2))}),
            ("upsample", {"factor": self.draw(st.integers(1, 2))}),
            ("pad", {
                "pads": [[self.draw(st.integers(0, 2)), 1]] * max(x.type.rank, 1),
                "mode": self.draw(st.sampled_from(["constant", "reflect", "edge", "wrap"])),
                "value": self.draw(st.sampled_from([0, 0, -2])),
            }),
            ("crop", {"sides": [[0, self.draw(st.integers(0, 2))]] * max(x.type.rank, 1)}),
            (self.draw(st.sampled_from(["pixel_shuffle", "pixel_unshuffle"])), {"factor": 2}),
            ("permute", {"axes": self.draw(st.permutations(range(x.type.rank + 1)))}),
            ("reshape", {"shape": self.draw(st.sampled_from([[-1, 2], [2, -1], [-1]]))}),
            ("resize", {
                "size": self.draw(st.integers(1, 6)),
                "mode": self.draw(st.sampled_from(["nearest", "linear"])),
            }),
        ]  # fmt: skip
        name, attributes = self.draw(st.sampled_from(options))
        self.add(name, x, **attributes)

    def vector(self) -> None:
        x = self.pick()
        units = self.draw(st.sampled_from([2, 3, 4, x.type.channels]))
        options: list[tuple[str, dict[str, object]]] = [
            ("fc", {"units": units, "bias": self.draw(st.booleans())}),
            ("fc", {"units": units}),
            ("flatten", {}),
            ("global_avgpool", {}),
            ("global_maxpool", {}),
        ]
        name, attributes = self.draw(st.sampled_from(options))
        self.add(name, x, **attributes)

    def excite(self) -> None:
        """Squeeze and excitation, or something like it."""
        pools = ["global_avgpool", "global_avgpool", "global_maxpool"]
        activations = ["relu", "relu", "silu", "prelu"]
        gates = ["sigmoid", "sigmoid", "hard_sigmoid", "bn"]
        x = self.pick()
        part = self.add(self.draw(st.sampled_from(pools)), x)
        part = self.add("fc", part, units=2, bias=self.draw(st.booleans()))
        part = self.add(self.draw(st.sampled_from(activations)), part)
        part = self.add("fc", part, units=x.type.channels)
        part = self.add(self.draw(st.sampled_from(gates)), part)
        joined = self.add("mul", *self.draw(st.permutations([x, part])))
        self.add(self.draw(st.sampled_from(["relu", "bn", "identity"])), joined)

    def training(self) -> None:
        x = self.pick()
        name = self.draw(st.sampled_from(["identity", "dropout", "stochastic_depth"]))
        self.add(name, x, **({"survival": 0.7} if name == "stochastic_depth" else {}))

    def finish(self) -> Sample:
        """The nodes that nothing reads as outputs, perhaps but one, and some others."""
        made = self.nodes[len(self.graph.inputs) :]
        last = [node for node in made if not self.graph.consumers(node)]
        kept = last[self.draw(st.integers(0, 1)) :] or last
        more = self.draw(st.lists(st.sampled_from(made), max_size=1))
        for index, node in enumerate(kept + more):
            self.graph.outputs[f"y{index}"] = node.name
        seed = self.draw(st.integers(0, 2**16))
        rng = np.random.default_rng(seed)
        inputs = {name: (2, *self.graph[name].type.shape) for name in self.graph.inputs}
        return Sample(
            self.graph,
            nasty_values(self.graph, seed),
            {name: rng.normal(size=shape) for name, shape in inputs.items()},
        )


RECIPES: tuple[Callable[[Grower], None], ...] = (
    *(Grower.conv,) * 3,
    *(Grower.layer,) * 4,
    *(Grower.block,) * 2,
    *(Grower.normalise,) * 4,
    *(Grower.activate,) * 2,
    *(Grower.join,) * 2,
    *(Grower.concat,) * 2,
    *(Grower.excite,) * 2,
    Grower.attend,
    Grower.normalise_groups,
    *(Grower.repeated,) * 2,
    Grower.bounded,
    Grower.fixed,
    Grower.twin,
    Grower.special_conv,
    Grower.scale,
    Grower.pool,
    Grower.reshape,
    Grower.vector,
    Grower.training,
)
