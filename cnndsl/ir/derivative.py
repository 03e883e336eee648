"""Derivatives of formulas, which are formulas again.

At a kink, `maximum` and `minimum` of a formula and a number have the derivative 0, those of two
formulas half of both, as relu and maximum have in PyTorch; the absolute value has 0; `select` that
of the formula that it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from cnndsl.ir.formula import Formula, exp, number, power, select

ZERO, ONE = number(0), number(1)


@cache
def differentiate(formula: Formula, by: Formula) -> Formula:
    """The derivative of a formula by one of its leaves: X, OTHER or a parameter."""

    def slope(part: Formula, slopes: Sequence[tuple[Formula, Formula]]) -> tuple[Formula, Formula]:
        operands = tuple(operand for operand, _ in slopes)
        return part, _RULES[part.function](part, operands, [found for _, found in slopes])

    _, found = formula.compute(lambda leaf: (leaf, ONE if leaf == by else ZERO), slope)
    return found


Operands = tuple[Formula, ...]
Rule = Callable[[Formula, Operands, Sequence[Formula]], Formula]
"""(the function, its operands, their derivatives) -> its derivative."""


def plus(a: Formula, b: Formula) -> Formula:
    """a + b, without zeros."""
    return b if a == ZERO else a if b == ZERO else a + b


def minus(a: Formula, b: Formula) -> Formula:
    """a - b, without zeros."""
    if b == ZERO:
        return a
    return -b if a == ZERO else a - b


def times(a: Formula, b: Formula) -> Formula:
    """a * b, without zeros and ones."""
    if ZERO in (a, b):
        return ZERO
    return b if a == ONE else a if b == ONE else a * b


def over(a: Formula, b: Formula) -> Formula:
    """a / b, without zeros."""
    return ZERO if a == ZERO else a / b


def _chosen(a: Formula, b: Formula, yes: Formula, no: Formula) -> Formula:
    return yes if yes == no else select(a, b, yes, no)


def _divide(y: Formula, operands: Operands, slopes: Sequence[Formula]) -> Formula:
    (da, db), b = slopes, operands[1]
    return over(minus(da, times(y, db)), b)


def _absolute(y: Formula, operands: Operands, slopes: Sequence[Formula]) -> Formula:
    (x,), (dx,) = operands, slopes
    return times(select(ZERO, x, select(x, ZERO, ZERO, number(-1)), ONE), dx)


def _maximum(y: Formula, operands: Operands, slopes: Sequence[Formula]) -> Formula:
    (a, b), (da, db) = _number_last(operands, slopes)
    return _chosen(b, a, _where_equal(a, b, da, db), da)


def _minimum(y: Formula, operands: Operands, slopes: Sequence[Formula]) -> Formula:
    (a, b), (da, db) = _number_last(operands, slopes)
    return _chosen(a, b, _where_equal(b, a, da, db), da)


def _number_last(
    operands: Operands, slopes: Sequence[Formula]
) -> tuple[Operands, Sequence[Formula]]:
    is_first = operands[0].function == "number"
    return (operands[::-1], slopes[::-1]) if is_first else (operands, slopes)


def _where_equal(a: Formula, b: Formula, da: Formula, db: Formula) -> Formula:
    """Half of both where a >= b as well, a number's 0; else db."""
    if "number" in (a.function, b.function):
        return db
    return _chosen(a, b, times(plus(da, db), number(0.5)), db)


def _power(y: Formula, operands: Operands, slopes: Sequence[Formula]) -> Formula:
    (x, exponent), (dx, _) = operands, slopes
    n = float(exponent.value)
    below = {0.0: ONE, 1.0: x}.get(n - 1)
    return times(times(power(x, n - 1) if below is None else below, number(n)), dx)


_RULES: Mapping[str, Rule] = {
    "add": lambda y, x, d: plus(*d),
    "subtract": lambda y, x, d: minus(*d),
    "multiply": lambda y, x, d: plus(times(d[0], x[1]), times(x[0], d[1])),
    "divide": _divide,
    "negative": lambda y, x, d: minus(ZERO, d[0]),
    "absolute": _absolute,
    "maximum": _maximum,
    "minimum": _minimum,
    "exp": lambda y, x, d: times(y, d[0]),
    "log": lambda y, x, d: over(d[0], x[0]),
    "sqrt": lambda y, x, d: over(times(number(0.5), d[0]), y),
    "power": _power,
    "tanh": lambda y, x, d: times(ONE - y * y, d[0]),
    "erf": lambda y, x, d: times(times(exp(-(x[0] * x[0])), number(2 / math.sqrt(math.pi))), d[0]),
    "select": lambda y, x, d: _chosen(x[0], x[1], d[2], d[3]),
}
