"""Rectifiers of values that are nowhere below zero."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Sign
from cnndsl.ir.operators import Relu
from cnndsl.passes.rewrite import Fate, Report


@dataclass(frozen=True)
class Rectified:
    """Removes a relu whose operand cannot be negative."""

    name: str = "rectified"
    algebra: str = "relu(x) => x, if x >= 0: relu(maxpool(relu(x))) => maxpool(relu(x))"

    def run(self, graph: Graph) -> Report:
        """Remove each relu of an operand that is known not to be negative."""
        report = Report()
        nonnegative = nonnegative_nodes(graph)
        for node in list(graph.nodes()):
            if isinstance(node.op, Relu):
                (operand,) = graph.producers(node)
                if operand.name in nonnegative:
                    graph.bypass(node, operand)
                    report.matched.append(Fate(node.name, f"removed: {operand.name} is >= 0"))
        return report


def nonnegative_nodes(graph: Graph) -> set[str]:
    """The nodes whose results are known to be nowhere below zero."""
    found: set[str] = set()
    for node in graph.nodes():
        known = all(operand.name in found for operand in graph.producers(node))
        if node.op.sign is Sign.NONNEGATIVE or (node.op.sign is Sign.KEPT and known):
            found.add(node.name)
    return found
