"""Equal computations, done once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Input
from cnndsl.passes.rewrite import Fate, Report


@dataclass(frozen=True)
class CommonSubexpressions:
    """Merges nodes of equal operators, operands and weights."""

    name: str = "common-subexpressions"
    algebra: str = "f(x), f(x) => y = f(x); y, y"

    def run(self, graph: Graph) -> Report:
        """Keep the first of equal nodes; equal chains merge, as their heads merge first."""
        report = Report()
        first: dict[Hashable, str] = {}
        for name in [node.name for node in graph.nodes()]:
            node = graph[name]
            if isinstance(node.op, Input):
                continue
            operands = tuple(operand.name for operand in graph.producers(node))
            params = tuple(frozenset(part.params.items()) for part in node.parts)
            key = (node.parts, operands, params)
            kept = first.setdefault(key, node.name)
            if kept != node.name:
                twin = graph[kept]
                graph.bypass(node, graph.update(twin, spans=twin.spans | node.spans))
                report.matched.append(Fate(node.name, f"merged into {kept}"))
        return report
