"""Sums of convolutions of one value, as one convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from cnndsl.ir.algebra import ONE, add, broadcast, embed_table, flip, pad, reshape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, ChannelMap, Conv, FullyConnected
from cnndsl.passes.branches import has_one_use, leaves_of
from cnndsl.passes.channel_affine import ChannelAffine
from cnndsl.passes.horizontal import joined_name
from cnndsl.passes.rewrite import Reject, Report, require_one_reader, rewrite_each


@dataclass(frozen=True)
class ParallelLinear:
    """Adds up the weights of the linear layers of one value whose results are added up.

    A smaller window lies within the larger one, with zeros around it; a per-channel map, or the
    value itself, is a 1x1 convolution with a diagonal matrix. What RepVGG is trained with becomes
    what it is run as (Ding et al. 2021, RepVGG, section 3.3). The cost is the weights that each
    position of the result meets.
    """

    name: str = "parallel-linear"
    algebra: str = "conv3x3(x, v) + conv1x1(x, w) + s*x => conv3x3(x, v + pad(w) + diag(s))"

    def run(self, graph: Graph) -> Report:
        """Merge the terms of each outermost sum."""
        return rewrite_each(graph, Add, _merge)


def _merge(graph: Graph, node: Node) -> str | None:
    if has_one_use(graph, node) and isinstance(graph.consumers(node)[0][0].op, Add):
        return None
    leaves, joins = leaves_of(graph, node)
    groups = [terms for terms in _groups(graph, leaves) if len(terms) > 1]
    if not groups:
        return None
    for first, *others in groups:
        if any(other.type != first.type for other in others):
            raise Reject(f"the terms of {first.name} differ in their shapes")
    changes = [_merged(graph, node, terms) for terms in groups]
    taken = {term.name for terms in groups for term in terms}
    rest = [leaf for leaf in leaves if leaf.name not in taken]
    spans = node.spans.union(*(inner.spans for inner in joins))
    sums = []
    for terms, (op, x, params) in zip(groups, changes, strict=True):
        convs = [term for term in terms if term.name != x.name]
        sources = spans.union(*(term.spans for term in convs))
        sums.append(graph.add(joined_name(convs), op, [x], params, sources))
    if rest or len(sums) > 1:
        graph.redefine(node, node.op, [*rest, *sums], {}, spans)
    else:
        graph.bypass(node, sums[0])
    for gone in (*joins[1:], *(term for terms in groups for term in terms)):
        if gone.name in graph and not graph.consumers(gone) and not graph.output_names(gone):
            graph.remove(gone)
    return "; ".join(f"{len(t)} terms as {s.name}" for t, s in zip(groups, sums, strict=True))


def _groups(graph: Graph, leaves: Sequence[Node]) -> list[list[Node]]:
    """The layers and maps of each value that a layer reads, and the value if it is a term too."""
    found: dict[str, list[Node]] = {}
    for leaf in leaves:
        if isinstance(leaf.op, Conv | FullyConnected):
            found.setdefault(graph.producers(leaf)[0].name, []).append(leaf)
    for leaf in leaves:
        x = graph.producers(leaf)[0].name if isinstance(leaf.op, ChannelMap) else leaf.name
        if x in found:
            found[x].append(leaf)
    return list(found.values())


def _merged(
    graph: Graph, node: Node, terms: Sequence[Node]
) -> tuple[Conv | FullyConnected, Node, dict[str, Expression]]:
    """The one layer, what it reads, and its parameters."""
    first = terms[0]
    (x,) = graph.producers(first)
    for term in terms:
        if term.name != x.name:
            require_one_reader(graph, term)
    if isinstance(first.op, FullyConnected):
        for term in terms:
            if not isinstance(term.op, FullyConnected):
                raise Reject(f"{term.name} is no fully connected layer as {first.name}")
        return _with_params(first.op, [term.params["weight"] for term in terms], _biases(terms), x)
    assert isinstance(first.op, Conv)
    kernels = [_Kernel.of(term, first.op, x) for term in terms]
    op = _union(first.op, kernels)
    if node.type != op.output_type([x.type]):
        raise Reject(f"{first.name} and the others do not read the same positions")
    width = x.type.channels // op.groups
    after = op.filters * width * math.prod(op.kernel)
    before = sum(kernel.weights for kernel in kernels)
    if after > before:
        raise Reject(f"one window would cost {after} multiply-adds instead of {before}")
    weights = [kernel.within(op) for kernel in kernels]
    return _with_params(op, weights, [k.bias for k in kernels if k.bias is not None], x)


def _with_params(
    op: Conv | FullyConnected, weights: list[Expression], biases: list[Expression], x: Node
) -> tuple[Conv | FullyConnected, Node, dict[str, Expression]]:
    params = {"weight": reduce(add, weights)}
    if biases:
        params["bias"] = reduce(add, biases)
    return replace(op, bias=bool(biases)), x, params


def _biases(terms: Sequence[Node]) -> list[Expression]:
    return [term.params["bias"] for term in terms if "bias" in term.params]


@dataclass(frozen=True)
class _Kernel:
    """A term as a convolution: the positions from `low` to `high` on each axis, by `steps`."""

    name: str
    weight: Expression
    bias: Expression | None
    low: tuple[int, ...]
    high: tuple[int, ...]
    steps: tuple[int, ...]
    weights: int

    @classmethod
    def of(cls, term: Node, like: Conv, x: Node) -> _Kernel:
        """A convolution, a per-channel map of `x`, or `x`, in the groups of a convolution."""
        op, params = term.op, term.params
        if term.name == x.name or isinstance(op, ChannelMap):
            return cls._diagonal(term, like, x)
        assert isinstance(op, Conv)
        if op.table is not None or op.groups != like.groups or op.stride != like.stride:
            raise Reject(f"{term.name} differs in its groups, stride or table")
        spatial = range(2, 2 + len(op.kernel))
        weight = flip(params["weight"], spatial) if op.flip else params["weight"]
        low = tuple(-before for before, _ in op.pads)
        spans = zip(low, op.kernel, op.dilation, strict=True)
        high = tuple(start + (k - 1) * step for start, k, step in spans)
        bias, count = params.get("bias"), math.prod(weight.shape)
        return cls(term.name, weight, bias, low, high, op.dilation, count)

    @classmethod
    def _diagonal(cls, term: Node, like: Conv, x: Node) -> _Kernel:
        channels, rank = x.type.channels, x.type.rank
        own = ChannelAffine(broadcast(ONE, (channels,)))
        affine = own if term.name == x.name else ChannelAffine.of(term)
        width = channels // like.groups
        rows = [(channel % width,) for channel in range(channels)]
        factors = reshape(affine.factor, (channels, *(1,) * rank))
        zeros = (0,) * rank
        weight = embed_table(factors, rows, width)
        count = 0 if term.name == x.name else channels
        return cls(term.name, weight, affine.shift, zeros, zeros, (1,) * rank, count)

    def within(self, op: Conv) -> Expression:
        """The weight with zeros around it, in a window that holds this one."""
        around = []
        axes = zip(self.low, self.high, op.kernel, op.dilation, op.pads, strict=True)
        for low, high, size, step, (before, _) in axes:
            around.append(((low + before) // step, size - 1 - (high + before) // step))
        return pad(self.weight, [(0, 0), (0, 0), *around])


def _union(first: Conv, kernels: Sequence[_Kernel]) -> Conv:
    """A convolution, bound, of a window that holds all windows. Raises Reject if none does."""
    sizes, steps, pads = [], [], []
    for axis, (_, after) in enumerate(first.pads):
        low = min(kernel.low[axis] for kernel in kernels)
        high = max(kernel.high[axis] for kernel in kernels)
        wide = {kernel.steps[axis] for kernel in kernels if kernel.low[axis] < kernel.high[axis]}
        step = max(wide, default=1)
        if len(wide) > 1 or any((kernel.low[axis] - low) % step for kernel in kernels):
            names = ", ".join(kernel.name for kernel in kernels)
            raise Reject(f"{names} do not read positions of one grid")
        sizes.append((high - low) // step + 1)
        steps.append(step)
        pads.append((-low, after + high - kernels[0].high[axis]))
    return replace(
        first,
        kernel=tuple(sizes),
        dilation=tuple(steps),
        pad=tuple(pads),
        flip=False,
        weight=None,
    )
