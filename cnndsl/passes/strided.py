"""Positions that nothing reads are not computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnndsl.ir.attributes import Sizes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, Pointwise, Subsample
from cnndsl.passes.rewrite import Reject, Report, describe, require_inner, rewrite_each


@dataclass(frozen=True)
class StridedConv:
    """Gives a convolution the stride with which all its readers skip positions.

    Readers that skip are subsample, and 1x1 convolutions with a stride. What is pointwise in
    between is computed at the positions that are left. The sizes agree:
    floor((floor((n-k)/s) + 1 - 1) / t) + 1 = floor((n-k) / (s*t)) + 1.
    """

    name: str = "strided-conv"
    algebra: str = "subsample(relu(conv(x, stride=s)), t) => relu(conv(x, stride=s*t))"

    def run(self, graph: Graph) -> Report:
        """Move strides towards the inputs, last readers first."""
        report = rewrite_each(graph, Operator, _move, backwards=True)
        return Report(report.matched[::-1], report.rejected[::-1])


def _move(graph: Graph, node: Node) -> str | None:
    """Let a node compute only what its readers read."""
    readers = [reader for reader, _ in graph.consumers(node)]
    strides = [_skips(reader) for reader in readers]
    if not any(strides):
        return None
    require_inner(graph, node)
    stride = strides[0]
    if stride is None or len(set(strides)) > 1:
        raise Reject("its readers read different positions")
    if not isinstance(node.op, Conv | Pointwise | Subsample):
        raise Reject(f"{describe(node)} is not pointwise")
    if not any(isinstance(reader.op, Subsample) for reader in readers) and not _ends(graph, node):
        raise Reject("no convolution before it would do less")
    smaller = Subsample(stride).output_type([node.type])
    if isinstance(node.op, Conv | Subsample):
        product = tuple(s * t for s, t in zip(node.op.stride, stride, strict=True))
        node = graph.update(node, op=replace(node.op, stride=product), output=smaller)
    else:
        operands = [_subsampled(graph, x, node, stride) for x in graph.producers(node)]
        node = graph.put(node, operands)
    for reader in dict.fromkeys(readers):
        if isinstance(reader.op, Subsample):
            node = graph.update(node, spans=node.spans | reader.spans)
            graph.bypass(reader, node)
        else:
            assert isinstance(reader.op, Conv)
            graph.update(reader, op=replace(reader.op, stride=(1,) * len(stride)))
            graph.put(graph[reader.name], graph.producers(reader))
    shown = "x".join(map(str, stride))
    return (
        f"stride {shown} more"
        if isinstance(node.op, Conv | Subsample)
        else f"before stride {shown}"
    )


def _skips(node: Node) -> Sizes | None:
    """The stride with which a node reads single positions; None if it reads all of them."""
    match node.op:
        case Subsample(stride=stride):
            return stride
        case Conv(kernel=kernel, stride=stride, pads=pads):
            single = set(kernel) == {1} and not any(map(any, pads))
            return stride if single and set(stride) != {1} else None
    return None


def _ends(graph: Graph, node: Node) -> bool:
    """Whether pointwise operators up to a node, of one reader each, begin with a convolution."""
    if isinstance(node.op, Conv):
        return True
    if not isinstance(node.op, Pointwise | Subsample):
        return False
    alone = [x for x in graph.producers(node) if len(graph.consumers(x)) == 1]
    return any(_ends(graph, x) for x in alone if not graph.output_names(x))


def _subsampled(graph: Graph, x: Node, node: Node, stride: Sizes) -> Node:
    """The positions of an operand that a node still needs; vectors stay."""
    if x.type.rank == 0:
        return x
    for reader, _ in graph.consumers(x):
        if isinstance(reader.op, Subsample) and reader.op.stride == stride:
            return reader
    return graph.add(f"{x.name}/{node.name}", Subsample(stride), [x], spans=node.spans)
