"""Rectifiers of values that are nowhere below zero."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    Add,
    Average,
    AvgPool,
    ChannelMax,
    Concat,
    DistanceAvgPool,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    HardSigmoid,
    L2Pool,
    Max,
    Maxout,
    MaxPool,
    Mul,
    PadChannels,
    RadialBasis,
    Relu,
    Relu6,
    Shuffle,
    Sigmoid,
    Slice,
    Softmax,
    Subsample,
    Upsample,
)
from cnndsl.passes.rewrite import Fate, Report

NONNEGATIVE = (HardSigmoid, L2Pool, RadialBasis, Relu, Relu6, Sigmoid, Softmax)
"""Operators whose results are never below zero."""

PRESERVING = (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    Add,
    Average,
    AvgPool,
    ChannelMax,
    Concat,
    DistanceAvgPool,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Max,
    Maxout,
    MaxPool,
    Mul,
    PadChannels,
    Shuffle,
    Slice,
    Subsample,
    Upsample,
)
"""Operators whose results are not below zero if no operand is."""


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
        if isinstance(node.op, NONNEGATIVE) or (isinstance(node.op, PRESERVING) and known):
            found.add(node.name)
    return found
