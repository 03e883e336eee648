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
        """One walk, producers first, that keeps what is known not to be negative."""
        report = Report()
        nonnegative: set[str] = set()
        for node in list(graph.nodes()):
            operands = graph.producers(node)
            known = all(operand.name in nonnegative for operand in operands)
            if isinstance(node.op, Relu) and known:
                graph.bypass(node, operands[0])
                report.matched.append(Fate(node.name, f"removed: {operands[0].name} is >= 0"))
            elif isinstance(node.op, NONNEGATIVE) or (isinstance(node.op, PRESERVING) and known):
                nonnegative.add(node.name)
        return report
