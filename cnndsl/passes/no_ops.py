"""Operators that change nothing for the operands and attributes that they have."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Concat, Flatten, Flattening, Reshape, Shuffle, Slice
from cnndsl.passes.rewrite import Report, rewrite_each


@dataclass(frozen=True)
class NoOps:
    """Removes what selects all, repeats or pads nothing, scales by 1, or undoes what came before.

    A flatten or reshape goes where all readers flatten their operand themselves.
    """

    name: str = "no-ops"
    algebra: str = "scale(x, 1) => x; shuffle(shuffle(x, g), C/g) => x; fc(flatten(x)) => fc(x)"

    def run(self, graph: Graph) -> Report:
        """Remove them, producers first."""
        return rewrite_each(graph, Operator, _remove)


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
    if node.op.operands != 1:
        return None
    (operand,) = graph.producers(node)
    if isinstance(node.op, Flatten | Reshape) and _only_flattened(graph, node):
        return operand
    if isinstance(node.op, Shuffle) and isinstance(operand.op, Shuffle):
        groups = node.op.groups * operand.op.groups
        return graph.producers(operand)[0] if groups == node.type.channels else None
    return operand if node.op.is_identity(operand.type) else None


def _only_flattened(graph: Graph, node: Node) -> bool:
    readers = graph.consumers(node)
    flattening = all(isinstance(reader.op, Flattening) for reader, _ in readers)
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
