"""Per-channel maps, with or without an activation, computed by what reads them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Activation, AvgPool, ChannelMap, GlobalAvgPool, Linear
from cnndsl.passes.fusing import add_prologue
from cnndsl.passes.rewrite import Reject, Report, describe, require_inner, rewrite_each

CORES = (Linear, AvgPool, GlobalAvgPool)
"""Operators that sum up their operand, and can compute it while they read it."""


@dataclass(frozen=True)
class Prologue:
    """Moves bn, affine or scale, and an activation behind it, into all readers.

    This is for maps that no weights can take: before padding, or before an activation, as in
    pre-activation networks. Several readers compute it each for themselves.
    """

    name: str = "prologue"
    algebra: str = "conv(relu(bn(x))) => fused(x; scale-shift, relu, conv)"

    def run(self, graph: Graph) -> Report:
        """Fuse each map with all its readers, or leave it."""
        return rewrite_each(graph, ChannelMap, _move)


@dataclass(frozen=True)
class _Reader:
    node: Node
    steps: tuple[Node, ...]


def _move(graph: Graph, node: Node) -> str:
    (first,) = graph.producers(node)
    readers = _readers(graph, (node,))
    for reader in readers:
        add_prologue(graph, graph[reader.node.name], first, reader.steps)
    passed = {step.name: step for reader in readers for step in reader.steps}
    for step in sorted(passed.values(), key=lambda step: step.name == node.name):
        graph.remove(step)
    names = sorted(reader.node.name for reader in readers)
    return f"prologue of {', '.join(names)}"


def _readers(graph: Graph, steps: tuple[Node, ...]) -> list[_Reader]:
    """The operators that read the last of the steps, also through one activation."""
    require_inner(graph, steps[-1])
    consumers = graph.consumers(steps[-1])
    if not consumers:
        raise Reject(f"nothing reads {describe(steps[-1])}")
    found = []
    for reader, index in consumers:
        if isinstance(reader.op, Activation) and len(steps) == 1:
            found += _readers(graph, (*steps, reader))
        elif not isinstance(reader.op, CORES):
            raise Reject(f"its reader {describe(reader)} cannot compute it while reading")
        elif reader.is_fused and (index or reader.prologue):
            what = "joins it behind its core" if index else "has a prologue already"
            raise Reject(f"its reader {reader.name} {what}")
        else:
            found.append(_Reader(reader, steps))
    return found
