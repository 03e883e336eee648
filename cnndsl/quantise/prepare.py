"""The float32 graph that is calibrated and then computed on codes, node by node."""

from __future__ import annotations

from collections.abc import Collection

from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from cnndsl.quantise.channel_maps import unify_channel_maps
from cnndsl.quantise.clamps import fuse_clamps


def prepare(graph: Graph, level: int, disable: Collection[str] = ()) -> Graph:
    """An optimised copy in which nothing is fused but clamps.

    It computes what the graph computes, is the same for every target, and each of its nodes can
    become one on codes.
    """
    result, _ = optimise(graph, level, disable=disable, fusions=())
    unify_channel_maps(result)
    fuse_clamps(result)
    return result
