"""Functions of single elements, the steps before and after a core: which there are, what they read.

Each backend writes them in its own words.
"""

from __future__ import annotations

from cnndsl.ir.formula import X
from cnndsl.ir.operator import Operator


def is_step(op: Operator) -> bool:
    """Whether an operator can be a step: it has a formula, and is not the identity."""
    return op.formula not in (None, X)


def parameter_names(op: Operator, label: str) -> list[str]:
    """The names of a step's parameters, which have a number for each channel."""
    return [f"{label}.{role}" for role in op.formula.roles()] if op.formula else []
