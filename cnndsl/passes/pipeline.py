"""Which passes run, in which order: the one list."""

from __future__ import annotations

from cnndsl.ir.graph import Graph
from cnndsl.passes.dead_code import DeadCode
from cnndsl.passes.rewrite import Pass
from cnndsl.passes.training_only import TrainingOnly

INFERENCE: tuple[Pass, ...] = (TrainingOnly(), DeadCode())
"""What every compilation does."""


def inference_graph(graph: Graph) -> Graph:
    """A copy of the graph as it is at inference."""
    result = graph.copy()
    for step in INFERENCE:
        step.run(result)
    return result
