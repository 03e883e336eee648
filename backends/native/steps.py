"""Functions of single elements, the steps before and after a core: which there are, what they read.

Each backend writes them in its own words.
"""

from __future__ import annotations

from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import ACTIVATIONS, Add, Affine, Fused, Identity, Max, Mul, PRelu
from cnndsl.passes.fusing import as_fused

JOINS = (Add, Max, Mul)
"""Steps with a further operand."""
PARAMETERS = {Affine: ("weight", "bias"), PRelu: ("weight",)}
"""What steps read besides, a number for each channel."""


def is_step(op: Operator) -> bool:
    """Whether an operator can be a step."""
    return isinstance(op, (*ACTIVATIONS, *JOINS, Affine))


def parameter_names(op: Operator, label: str) -> list[str]:
    """The names of a step's parameters."""
    return [f"{label}.{role}" for role in PARAMETERS.get(type(op), ())]


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
