"""Making fused operators: what passes that fuse share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Affine, Fused
from cnndsl.ir.operators.fused import part_params
from cnndsl.passes.channel_affine import CHANNEL_AFFINE, ChannelAffine


@dataclass(frozen=True)
class Step:
    """An operator that becomes a part of another one, with its parameters."""

    op: Operator
    params: Mapping[str, Expression]

    @classmethod
    def of(cls, node: Node) -> Step:
        """What a node computes; a per-channel map of any kind as affine."""
        if isinstance(node.op, CHANNEL_AFFINE):
            return cls(Affine(), ChannelAffine.of(node).params())
        return cls(node.op, node.params)

    def labelled(self, label: str) -> dict[str, Expression]:
        """The parameters by the roles that they have in the fused operator."""
        return {f"{label}.{role}": expression for role, expression in self.params.items()}


def as_fused(node: Node) -> tuple[Fused, dict[str, Expression]]:
    """A node's operator as a fused one, with its parameters."""
    if isinstance(node.op, Fused):
        return node.op, dict(node.params)
    return Fused(node.op), Step(node.op, node.params).labelled("core")


def core_of(node: Node) -> Operator:
    """The operator at the heart of a node."""
    return node.op.core if isinstance(node.op, Fused) else node.op


def add_prologue(graph: Graph, node: Node, first: Node, steps: Sequence[Node]) -> None:
    """Let a node read `first` and apply `steps` to it itself. It must have no prologue yet."""
    op, params = as_fused(node)
    assert not op.prologue
    parts = [Step.of(step) for step in steps]
    for index, part in enumerate(parts):
        params |= part.labelled(f"prologue{index}")
    graph.redefine(
        node,
        replace(op, prologue=tuple(part.op for part in parts)),
        [first, *graph.producers(node)[1:]],
        params,
        node.spans.union(*(step.spans for step in steps)),
    )


def absorb(graph: Graph, node: Node, operand: Node) -> None:
    """Let a node compute its first operand, which it alone reads, as its prologue.

    The operand must not join values, the node have no prologue.
    """
    op, params = as_fused(node)
    before, operand_params = as_fused(operand)
    for index, (label, _) in enumerate(before.labelled()):
        part = part_params(operand_params, label)
        params |= {f"prologue{index}.{role}": expression for role, expression in part.items()}
    graph.redefine(
        node,
        replace(op, prologue=tuple(part for _, part in before.labelled())),
        [*graph.producers(operand), *graph.producers(node)[1:]],
        params,
        node.spans | operand.spans,
    )
    graph.remove(operand)


def add_epilogue(graph: Graph, node: Node, follower: Node, others: Sequence[Node]) -> None:
    """Let a node apply its only reader to its result, which then takes the reader's place.

    `others` are the further operands of the reader, if it is a join: one part for each.
    """
    op, params = as_fused(node)
    step = Step.of(follower)
    start = len(op.epilogue)
    count = max(1, len(others))
    for index in range(start, start + count):
        params |= step.labelled(f"epilogue{index}")
    fused = graph.redefine(
        graph.update(node, type=follower.type),
        replace(op, epilogue=op.epilogue + (step.op,) * count),
        [*graph.producers(node), *others],
        params,
        node.spans | follower.spans,
    )
    graph.bypass(follower, fused)
