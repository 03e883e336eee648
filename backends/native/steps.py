"""Functions of single elements, the steps before and after a core: which there are, what they read.

Each backend writes them in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cnndsl.ir.algebra import pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import ACTIVATIONS, Add, Affine, Fused, Identity, Max, Mul, PRelu
from cnndsl.passes.fusing import as_fused

JOINS = (Add, Max, Mul)
"""Steps with a further operand."""
PARAMETERS = {Affine: ("weight", "bias"), PRelu: ("weight",)}
"""What steps read besides, a number for each channel."""


class Blocked(Protocol):
    """How a result lies, in blocks of channels."""

    @property
    def channels(self) -> int:
        """Those that count."""

    @property
    def blocks(self) -> int:
        """How many it takes; the last may not be full."""

    @property
    def block(self) -> int:
        """Channels of a block."""


def is_step(op: Operator) -> bool:
    """Whether an operator can be a step."""
    return isinstance(op, (*ACTIVATIONS, *JOINS, Affine))


def parameter_names(op: Operator, label: str) -> list[str]:
    """The names of a step's parameters."""
    return [f"{label}.{role}" for role in PARAMETERS.get(type(op), ())]


def step_weights(
    op: Operator, label: str, params: Mapping[str, Expression], layout: Blocked
) -> dict[str, Expression]:
    """The parameters of a step, [channels], filled up with zeros to whole blocks."""
    missing = layout.blocks * layout.block - layout.channels
    return {name: pad(params[name], ((0, missing),)) for name in parameter_names(op, label)}


def as_task(node: Node, operands: int) -> tuple[Fused, dict[str, Expression]]:
    """A node of so many operands as a core with steps, and its parameters.

    A step becomes the epilogue of an identity, a join of several operands one for each further
    operand.
    """
    if not is_step(node.op):
        return as_fused(node)
    steps = (node.op,) * (1 if node.op.operands else operands - 1)
    params = {
        f"epilogue{index}.{role}": expression
        for index in range(len(steps))
        for role, expression in node.params.items()
    }
    return Fused(Identity(), (), steps), params
