"""Making fused nodes: what passes that fuse share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Affine, ChannelMap
from cnndsl.ir.part import Part
from cnndsl.passes.channel_affine import ChannelAffine


def step_of(node: Node) -> Part[Operator]:
    """What a node of one part computes; a per-channel map of any kind as affine."""
    if isinstance(node.op, ChannelMap):
        return replace(node.core, op=Affine(), params=ChannelAffine.of(node).params())
    return node.core


def add_prologue(graph: Graph, node: Node, first: Node, steps: Sequence[Node]) -> None:
    """Let a node read `first` and apply `steps` to it itself. It must have no prologue yet."""
    assert not node.prologue
    fused = replace(
        node,
        prologue=tuple(map(step_of, steps)),
        spans=node.spans.union(*(step.spans for step in steps)),
    )
    graph.put(fused, [first, *graph.producers(node)[1:]])


def absorb(graph: Graph, node: Node, operand: Node) -> None:
    """Let a node compute its first operand, which it alone reads, as its prologue.

    The operand must not join values, the node have no prologue.
    """
    fused = replace(node, prologue=operand.parts, spans=node.spans | operand.spans)
    graph.put(fused, [*graph.producers(operand), *graph.producers(node)[1:]])
    graph.remove(operand)


def add_epilogue(graph: Graph, node: Node, follower: Node, others: Sequence[Node]) -> None:
    """Let a node apply its only reader to its result, which then takes the reader's place.

    `others` are the further operands of the reader, if it is a join: one part for each.
    """
    steps = (step_of(follower),) * max(1, len(others))
    fused = replace(node, epilogue=node.epilogue + steps, spans=node.spans | follower.spans)
    graph.bypass(follower, graph.put(fused, [*graph.producers(node), *others]))
