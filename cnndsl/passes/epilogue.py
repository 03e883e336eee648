"""What follows a layer, computed before its result is stored."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Elementwise, Groupwise, Join, Linear, SqueezeExcite
from cnndsl.passes.fusing import add_epilogue
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each

MAKERS = (Groupwise, Linear, SqueezeExcite)
"""Operators that can finish their results before they store them."""


@dataclass(frozen=True)
class Epilogue:
    """Moves activations, per-channel maps and joins into the layer or the block before them.

    Of the operands of a join, the one that is computed last takes it; the others are then there.
    """

    name: str = "epilogue"
    algebra: str = "relu(conv(x) + y) => fused(x, y; conv, add, relu)"

    def run(self, graph: Graph) -> Report:
        """Extend each convolution by its followers, first to last."""
        order = {node.name: index for index, node in enumerate(graph.nodes())}

        def move(graph: Graph, node: Node) -> str | None:
            if node.op.formula is None:
                return None
            operands = graph.producers(node)
            makers = operands if _commutes(node.op) else operands[:1]
            latest_first = sorted(makers, key=lambda x: order[x.name], reverse=True)
            maker = _maker(graph, node, latest_first)
            others = [operand for operand in operands if operand.name != maker.name]
            add_epilogue(graph, maker, node, others)
            order[maker.name] = order[node.name]
            return f"epilogue of {maker.name}"

        return rewrite_each(graph, (Elementwise, Join), move)


def _commutes(op: Operator) -> bool:
    """Whether any operand may come first."""
    return not isinstance(op, Join) or op.commutes


def _maker(graph: Graph, node: Node, operands: list[Node]) -> Node:
    """The first operand that can take the node. Raises Reject with the reason of the first."""
    reasons = []
    for operand in operands:
        try:
            _require_maker(graph, operand, node)
        except Reject as reason:
            reasons.append(reason)
        else:
            return operand
    raise reasons[0]


def _require_maker(graph: Graph, operand: Node, node: Node) -> None:
    if not isinstance(operand.op, MAKERS):
        raise Reject(f"its operand {describe(operand)} has no weights")
    require_one_reader(graph, operand)
    if operand.type != node.type:
        raise Reject(f"its operand {operand.name} is {operand.type}, the result {node.type}")
