"""Nodes that no output needs."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.structure import Input
from cnndsl.passes.rewrite import Fate, Report


@dataclass(frozen=True)
class DeadCode:
    """Removes nodes from which no output can be reached; inputs stay."""

    name: str = "dead-code"
    algebra: str = "x => nothing, if no output reads x"

    def run(self, graph: Graph) -> Report:
        """Remove consumers before producers."""
        report = Report()
        for node in reversed(list(graph.nodes())):
            used = graph.consumers(node) or graph.output_names(node)
            if not used and not isinstance(node.op, Input):
                graph.remove(node)
                report.matched.append(Fate(node.name, "removed"))
        return report
