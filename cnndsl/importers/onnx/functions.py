"""Functions of the single elements of one value, gathered while a model is read.

Exporters write an activation as many operators: gelu as a division, Erf, a sum and two products, in
any order. Such a run is kept as one function until something else reads it, and then compared
by its values with the activations that there are: whatever the spelling, what computes the same is
found. A function that is none of them becomes its operators, one after another.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.ir.formula import Formula
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Clamp,
    Gelu,
    Power,
    Reciprocal,
    Relu,
    Sqrt,
    Square,
    activation,
    elementary,
)
from cnndsl.ir.operators.activation import Activation
from cnndsl.ir.operators.bases import family

Values: TypeAlias = NDArray[np.float64]

LARGEST = 64
"""Operators gathered in one function."""
CLOSE = 4e-6
"""Difference, relative to a value or to 1, that stems from constants rounded to float32."""
FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Function:
    """An operator, or a function of formulas by its name, of other functions and numbers.

    An empty name stands for the value itself.
    """

    kind: Operator | str = ""
    arguments: tuple[Argument, ...] = ()
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inner = sum(a.size for a in self.arguments if isinstance(a, Function))
        object.__setattr__(self, "size", 1 + inner)


Argument: TypeAlias = Function | float

X = Function()


def made(kind: Operator | str, *arguments: Argument) -> Function:
    """A function of functions and numbers, one of which is a function."""
    return Function(kind, arguments)


def power(base: Function, exponent: float) -> Function:
    """A power: its root, reciprocal or products where there are such."""
    match exponent:
        case 0.5:
            return made(Sqrt(), base)
        case -1.0:
            return made(Reciprocal(), base)
        case 2.0:
            return made(Square(), base)
    return made(Power(exponent), base)


def limited(a: Function, low: float, high: float) -> Function:
    """min(max(a, low), high); limits of the largest float32 and more are none."""
    if low > -FLOAT_MAX:
        a = made("maximum", a, low) if low else made(Relu(), a)
    return made("minimum", a, high) if high < FLOAT_MAX else a


def values(function: Argument, x: Values) -> Values:
    """The function of some numbers."""
    if not isinstance(function, Function):
        return np.asarray(function, np.float64)
    if not function.kind:
        return x
    operands = [values(argument, x) for argument in function.arguments]
    if isinstance(function.kind, str):
        return _primitive(function.kind, operands)
    formula = function.kind.formula
    assert formula

    def leaf(part: Formula) -> Values:
        return operands[0] if part.function == "x" else np.asarray(part.value, np.float64)

    return formula.compute(leaf, lambda part, parts: _primitive(part.function, parts))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _primitive(name: str, operands: list[Values]) -> Values:
    if name == "select":
        a, b, yes, no = operands
        return np.where(a >= b, yes, no)
    function = _erf if name == "erf" else getattr(np, name)
    result: Values = function(*operands)
    return result


@cache
def activation_of(function: Function) -> Operator | None:
    """The activation that computes the function, if there is one.

    A number that is too small to be seen in values, such as one that keeps a divisor from 0, tells
    that there is none.
    """
    if _is_fine(function):
        return None
    with np.errstate(all="ignore"):
        made = np.broadcast_to(values(function, _POINTS), _POINTS.shape)
        known = np.isfinite(made)
        if not known[_NEAR].all():
            return None
        for candidate, wanted in _candidates():
            difference = np.abs(made - wanted)[known]
            if (difference <= CLOSE * (1 + np.abs(wanted[known]))).all():
                return candidate
    return None


def _is_fine(argument: Argument) -> bool:
    """Whether there is a number in a function that others near it cannot be told from."""
    if isinstance(argument, Function):
        return any(map(_is_fine, argument.arguments))
    return 0 < abs(argument) <= CLOSE


_CENTRE = np.linspace(-12, 12, 481)
_POINTS = np.concatenate([_CENTRE, *(sign * np.geomspace(13, 1e6, 40) for sign in (1, -1))])
_NEAR = slice(0, len(_CENTRE))


@cache
def _candidates() -> list[tuple[Operator, Values]]:
    """Activations that need no attribute and have no parameters, with their values."""
    found = [
        kind()
        for kind in (*family(activation), *family(elementary))
        if issubclass(kind, Activation)
        and kind is not Clamp
        and all(f.default is not MISSING for f in fields(kind))
    ]
    operators = [op for op in (*found, Gelu(tanh=True)) if not op.formula.roles()]
    with np.errstate(all="ignore"):
        return [(op, values(Function(op, (X,)), _POINTS)) for op in operators]


def affine(function: Function) -> tuple[Function, float, float]:
    """The function as factor * inner + shift, with the most of it in the numbers."""
    match function:
        case Function("negative", (Function() as a,)):
            factor, shift = -1.0, 0.0
        case Function("add", (Function() as a, float(b)) | (float(b), Function() as a)):
            factor, shift = 1.0, b
        case Function("subtract", (Function() as a, float(b))):
            factor, shift = 1.0, -b
        case Function("subtract", (float(b), Function() as a)):
            factor, shift = -1.0, b
        case Function("multiply", (Function() as a, float(b)) | (float(b), Function() as a)):
            factor, shift = b, 0.0
        case Function("divide", (Function() as a, float(b))) if b:
            factor, shift = 1 / b, 0.0
        case Function("divide", (float(b), Function() as a)):
            return made(Reciprocal(), a), b, 0.0
        case _:
            return function, 1.0, 0.0
    inner, by, plus = affine(a)
    return inner, factor * by, factor * plus + shift
