"""What the gradient of each operator is, in operators: one file for each family."""

from __future__ import annotations

from cnndsl.autodiff.rules import (
    convolution,
    dense,
    elementwise,
    linear,
    moving,
    normalisation,
    pooling,
    reductions,
)
from cnndsl.autodiff.step import Rule, Rules
from cnndsl.ir.operator import Operator

RULES: Rules = {
    **elementwise.RULES,
    **convolution.RULES,
    **linear.RULES,
    **pooling.RULES,
    **normalisation.RULES,
    **dense.RULES,
    **moving.RULES,
    **reductions.RULES,
}
"""By operator, or by what several are."""


def rule_of(op: type[Operator]) -> Rule | None:
    """The rule of the operator, or of what it is; None if it has no gradient."""
    return next((RULES[kind] for kind in op.__mro__ if kind in RULES), None)
