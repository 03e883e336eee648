"""Inference needs no dropout, no stochastic depth and no auxiliary outputs."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.expressions import Constant
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.constant import Scale
from cnndsl.ir.operators.structure import Identity
from cnndsl.ir.operators.training import Dropout, StochasticDepth
from cnndsl.passes.rewrite import Fate, Report


@dataclass(frozen=True)
class TrainingOnly:
    """Replaces what acts in training only by its meaning at inference."""

    name: str = "training-only"
    algebra: str = "dropout(x) => x; identity(x) => x; stochastic_depth(x, p) => scale(x, p)"

    def run(self, graph: Graph) -> Report:
        """Drop auxiliary outputs, and rewrite the operators. Nodes left unused stay."""
        report = Report()
        report.matched += [Fate(aux.node, "auxiliary output") for aux in graph.auxiliaries.values()]
        graph.auxiliaries.clear()
        for node in list(graph.nodes()):
            if isinstance(node.op, Dropout | Identity):
                graph.replace(node, graph.producers(node)[0])
                report.matched.append(Fate(node.name, "removed"))
            elif isinstance(node.op, StochasticDepth):
                survival = node.op.survival
                scale = Scale((survival,)).bind([node.type])
                params = {role: Constant(values) for role, values in scale.constants().items()}
                graph.update(node, op=scale, params=params)
                report.matched.append(Fate(node.name, f"scale by {survival:g}"))
        return report
