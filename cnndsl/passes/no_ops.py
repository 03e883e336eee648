"""Operators that change nothing for the operands and attributes that they have."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    ChannelMax,
    Concat,
    DistanceAvgPool,
    Flatten,
    FullyConnected,
    Maxout,
    MaxPool,
    PadChannels,
    RadialBasis,
    Scale,
    Shuffle,
    Slice,
    Subsample,
    Upsample,
)
from cnndsl.passes.rewrite import Report, rewrite_each

CANDIDATES = (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    ChannelMax,
    Concat,
    DistanceAvgPool,
    Flatten,
    Maxout,
    MaxPool,
    PadChannels,
    Scale,
    Shuffle,
    Slice,
    Subsample,
    Upsample,
)


@dataclass(frozen=True)
class NoOps:
    """Removes what selects all, repeats or pads nothing, scales by 1, or undoes what came before.

    A flatten goes where all readers flatten their operand themselves.
    """

    name: str = "no-ops"
    algebra: str = "scale(x, 1) => x; shuffle(shuffle(x, g), C/g) => x; fc(flatten(x)) => fc(x)"

    def run(self, graph: Graph) -> Report:
        """Remove them, producers first."""
        return rewrite_each(graph, CANDIDATES, _remove)


def _remove(graph: Graph, node: Node) -> str | None:
    same = _same_as(graph, node)
    if same is None:
        return None
    graph.bypass(node, same)
    if same.type != node.type:
        graph.bind_readers(same)
    return f"removed: equal to {same.name}"


def _same_as(graph: Graph, node: Node) -> Node | None:
    """The node that can be read instead of this one."""
    if isinstance(node.op, Concat):
        return _split_value(graph, node)
    (operand,) = graph.producers(node)
    if isinstance(node.op, Flatten) and _only_flattened(graph, node):
        return operand
    if node.type != operand.type:
        return None
    if isinstance(node.op, Shuffle) and isinstance(operand.op, Shuffle):
        groups = node.op.groups * operand.op.groups
        return graph.producers(operand)[0] if groups == node.type.channels else None
    return operand if _keeps(node.op, node.type.channels) else None


def _keeps(op: Operator, channels: int) -> bool:
    """Whether y = x, given that the shapes are equal."""
    match op:
        case MaxPool() | AvgPool() | DistanceAvgPool():
            return set(op.kernel) == set(op.strides) == {1} and not any(map(any, op.pads))
        case Scale(factor=factor, shift=shift):
            return set(factor) == {1.0} and set(shift) == {0.0}
        case Shuffle(groups=groups):
            return groups in (1, channels)
        case Subsample(stride=stride):
            return set(stride) == {1}
    return True


def _only_flattened(graph: Graph, node: Node) -> bool:
    readers = graph.consumers(node)
    flattening = all(isinstance(reader.op, FullyConnected | RadialBasis) for reader, _ in readers)
    return flattening and not graph.output_names(node)


def _split_value(graph: Graph, node: Node) -> Node | None:
    """The value whose slices, all of them in order, a concatenation joins again."""
    stop = 0
    whole = None
    for part in graph.producers(node):
        if not isinstance(part.op, Slice) or part.op.start != stop:
            return None
        stop = part.op.stop
        (source,) = graph.producers(part)
        if whole is not None and source.name != whole.name:
            return None
        whole = source
    return whole if whole is not None and whole.type == node.type else None
