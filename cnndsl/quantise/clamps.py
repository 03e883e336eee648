"""Rectifiers and clamps go into the node before them, whose codes are then clipped."""

from __future__ import annotations

import math

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Clamp, Meaning, Relu, Relu6, meaning_of
from cnndsl.ir.quantisation import HIGHEST, Quantisation
from cnndsl.passes.fusing import add_epilogue


def limits(op: Operator) -> tuple[float, float] | None:
    """Between what an operator clamps; None if it does something else."""
    match op:
        case Relu():
            return 0.0, math.inf
        case Relu6():
            return 0.0, 6.0
        case Clamp(low=low, high=high):
            return -math.inf if low is None else low, math.inf if high is None else high
    return None


def fuse_clamps(graph: Graph) -> None:
    """Let each node that makes values clamp them, if nobody reads them unclamped."""
    for node in list(graph.nodes()):
        if node.is_fused or limits(node.op) is None:
            continue
        (maker,) = graph.producers(node)
        if _takes(graph, maker):
            add_epilogue(graph, maker, node, [])


def _takes(graph: Graph, maker: Node) -> bool:
    meaning = meaning_of(maker.op, maker.core.inputs)
    read_once = len(graph.consumers(maker)) == 1 and not graph.output_names(maker)
    return read_once and meaning not in (None, Meaning.MOVE)


def clip_codes(node: Node, result: Quantisation) -> tuple[int, int]:
    """The lowest and the highest code that the clamps of a node leave."""
    low, high = 0, HIGHEST
    for part in node.epilogue:
        found = limits(part.op)
        assert found is not None
        least, most = map(result.code, found)
        low, high = min(max(low, least), most), min(max(high, least), most)
    return low, high
