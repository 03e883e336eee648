"""Formulas of functions of single elements, which every backend writes in its own words.

Formulas are made by arithmetic from the operand X, the second operand OTHER, numbers, parameters
with one number for each channel, and statistics of the group of elements that X belongs to. NaN
goes through all functions, `maximum` and `minimum` among them, and `select` compares as IEEE 754
does: nothing is at least NaN. Where a function is not defined it is NaN, as are the logarithm and
the square root of a negative number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

FUNCTIONS = (
    *("add", "subtract", "multiply", "divide", "negative", "absolute", "maximum", "minimum"),
    *("exp", "log", "sqrt", "power", "tanh", "erf", "select"),
)
"""What backends have to provide, by numpy's names; select(a, b, c, d) is c where a >= b, else d.

The exponents of powers are numbers.
"""

LEAVES = ("x", "other", "number", "parameter", "statistic")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Formula:
    """A function of formulas, or one of the leaves: x, other, number, parameter, statistic.

    `value` is the number, the role of the parameter or the name of the statistic.
    """

    function: str
    operands: tuple[Formula, ...] = ()
    value: float | str = ""

    def __add__(self, other: Formula | float) -> Formula:
        return _made("add", self, other)

    def __sub__(self, other: Formula | float) -> Formula:
        return _made("subtract", self, other)

    def __mul__(self, other: Formula | float) -> Formula:
        return self if other == 1 else _made("multiply", self, other)

    def __truediv__(self, other: Formula | float) -> Formula:
        return self if other == 1 else _made("divide", self, other)

    def __rtruediv__(self, other: float) -> Formula:
        return _made("divide", other, self)

    def __neg__(self) -> Formula:
        return _made("negative", self)

    def __abs__(self) -> Formula:
        return _made("absolute", self)

    def compute(
        self, leaf: Callable[[Formula], Value], made: Callable[[Formula, list[Value]], Value]
    ) -> Value:
        """The value in a backend's terms, of leaves and of functions of values.

        What occurs twice is made once.
        """
        known: dict[Formula, Value] = {}

        def value(part: Formula) -> Value:
            if part not in known:
                operands = [value(operand) for operand in part.operands]
                known[part] = made(part, operands) if operands else leaf(part)
            return known[part]

        return value(self)

    def roles(self) -> tuple[str, ...]:
        """The roles of the parameters, each once, in the order in which they occur."""
        return tuple(str(leaf.value) for leaf in self.leaves() if leaf.function == "parameter")

    def leaves(self) -> tuple[Formula, ...]:
        """All leaves, each once, in the order in which they occur."""
        return tuple(dict.fromkeys(self._leaves()))

    def _leaves(self) -> Iterator[Formula]:
        if not self.operands:
            yield self
        for operand in self.operands:
            yield from operand._leaves()

    def instead(self, leaf: Formula, other: Formula) -> Formula:
        """The same with another formula in the place of a leaf."""
        return self.compute(
            lambda part: other if part == leaf else part,
            lambda part, operands: Formula(part.function, tuple(operands)),
        )

    def to_lists(self) -> list[Any]:
        """The formula as lists of texts and numbers: [function, *operands], [leaf, value]."""
        if self.operands:
            return [self.function, *(operand.to_lists() for operand in self.operands)]
        return [self.function, self.value]


def from_lists(data: Any) -> Formula:
    """The formula of `to_lists`. Raises ValueError if the data are none."""
    function, *operands = data
    if function in FUNCTIONS:
        return Formula(function, tuple(map(from_lists, operands)))
    (value,) = operands
    if function not in LEAVES or not isinstance(value, float if function == "number" else str):
        raise ValueError(f"{str(data)[:40]} is no formula")
    return Formula(function, (), value)


X = Formula("x")
OTHER = Formula("other")


def number(value: float) -> Formula:
    """A number."""
    return Formula("number", (), float(value))


def parameter(role: str) -> Formula:
    """The number of a parameter for the channel."""
    return Formula("parameter", (), role)


def statistic(name: str) -> Formula:
    """A number of the group of elements."""
    return Formula("statistic", (), name)


@dataclass(frozen=True)
class Reduction:
    """The mean, the sum or the largest of a formula of all elements of a group."""

    kind: str
    term: Formula


mean, total, largest = (partial(Reduction, kind) for kind in ("mean", "sum", "largest"))
Stage: TypeAlias = Mapping[str, Reduction]
"""Statistics by name that one walk over a group finds."""


def _made(function: str, *operands: Formula | float) -> Formula:
    return Formula(
        function,
        tuple(o if isinstance(o, Formula) else number(o) for o in operands),
    )


maximum, minimum = partial(_made, "maximum"), partial(_made, "minimum")
exp, log, sqrt = partial(_made, "exp"), partial(_made, "log"), partial(_made, "sqrt")
tanh, erf = partial(_made, "tanh"), partial(_made, "erf")
power, select = partial(_made, "power"), partial(_made, "select")


def clip(a: Formula, low: float, high: float) -> Formula:
    """min(max(a, low), high)."""
    return minimum(maximum(a, low), high)


def rectified(a: Formula, below: Formula) -> Formula:
    """a where it is at least 0, `below` elsewhere."""
    return select(a, 0, a, below)


def evaluate(formula: Formula, x: NDArray[Any], other: float, parameters: float) -> NDArray[Any]:
    """The value for each number of x, all parameters having the same value."""
    known = {"x": x, "other": other, "parameter": parameters}

    def leaf(part: Formula) -> Any:
        return known.get(part.function, part.value)

    def made(part: Formula, operands: list[Any]) -> Any:
        if part.function == "select":
            a, b, yes, no = operands
            return np.where(a >= b, yes, no)
        if part.function == "erf":
            return np.vectorize(math.erf)(*operands)
        return getattr(np, part.function)(*operands)

    with np.errstate(all="ignore"):
        return np.asarray(formula.compute(leaf, made))


@cache
def keeps_finite(formula: Formula) -> bool:
    """Whether finite numbers stay finite where the other operand and all parameters are zero."""
    sizes = np.array([0, 1e-40, 1e-6, 1, 100, 3e38], np.float32)
    return bool(np.isfinite(evaluate(formula, np.append(sizes, -sizes), 0.0, 0.0)).all())
