"""Functions of single elements, the steps before and after a core: which there are, what they read.

Each backend writes them in its own words.
"""

from __future__ import annotations

from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import ACTIVATIONS, Add, Affine, Max, Mul, PRelu

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
