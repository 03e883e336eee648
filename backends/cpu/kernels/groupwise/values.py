"""What both kinds of groups compute of the channels of a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cnndsl.backends.cpu.codegen.expressions import Expr, load
from cnndsl.backends.cpu.codegen.steps import computed
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.ir.formula import Formula

SIDE_BY_SIDE = 4
"""Neighbouring positions that are summed up at a time, each by itself: additions take a while."""


def value_of(
    body: Body, formula: Formula, x: Expr, statistic: Callable[[str], Expr], block: Expr = 0
) -> Expr:
    """A formula of the channels of a block."""
    lanes = body.call.x.block

    def leaf(part: Formula) -> Expr:
        if part.function == "parameter":
            return load(body.weights[str(part.value)], block * lanes, lanes)
        if part.function == "statistic":
            return statistic(str(part.value))
        return x if part.function == "x" else part.value

    return computed(formula, lanes, leaf)


def combine_into(
    code: Code,
    registers: Sequence[Register],
    values: Sequence[Expr],
    combine: Callable[[Expr, Expr], Expr],
) -> None:
    """Combine registers with values, each with its own."""
    for register, value in zip(registers, values, strict=True):
        code.set(register, combine(value, register.value))
