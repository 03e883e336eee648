"""Per-channel maps that no layer has taken, in one form."""

from __future__ import annotations

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Affine, ChannelMap
from cnndsl.passes.channel_affine import ChannelAffine


def unify_channel_maps(graph: Graph) -> None:
    """Let every map of channels be an affine one with a shift."""
    for node in list(graph.nodes()):
        if isinstance(node.op, ChannelMap) and not node.is_fused:
            params = ChannelAffine.of(node).params()
            graph.redefine(node, Affine(), graph.producers(node), params, node.spans)
