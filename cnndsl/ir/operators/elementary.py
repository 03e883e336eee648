"""Elementary functions of single elements: exponentials, roots, powers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import Formula, X, clip, exp, log, power, sqrt
from cnndsl.ir.operator import Reads, Sign
from cnndsl.ir.operators.activation import Activation

LARGEST_PRODUCT = 4
"""The exponent up to which a power is a product."""


@dataclass(frozen=True)
class Exp(Activation):
    """y = exp(x), which overflows to infinity."""

    name: ClassVar[str] = "exp"
    foreign = ("PyTorch exp", "Keras exp")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT
    formula = exp(X)


@dataclass(frozen=True)
class Log(Activation):
    """Natural logarithm: y = log(x), NaN below zero and minus infinity at zero."""

    name: ClassVar[str] = "log"
    foreign = ("PyTorch log", "Keras log")
    sign = Sign.ANY
    gradient = Reads.OPERANDS
    formula = log(X)


@dataclass(frozen=True)
class Sqrt(Activation):
    """Square root: y = sqrt(x), NaN below zero."""

    name: ClassVar[str] = "sqrt"
    foreign = ("PyTorch sqrt", "Keras sqrt")
    sign = Sign.NONNEGATIVE
    gradient = Reads.OPERANDS
    formula = sqrt(X)


@dataclass(frozen=True)
class Abs(Activation):
    """Absolute value: y = |x|."""

    name: ClassVar[str] = "abs"
    foreign = ("PyTorch abs", "Keras absolute")
    sign = Sign.NONNEGATIVE
    gradient = Reads.OPERANDS
    formula = abs(X)


@dataclass(frozen=True)
class Reciprocal(Activation):
    """y = 1 / x, infinite at zero."""

    name: ClassVar[str] = "reciprocal"
    foreign = ("PyTorch reciprocal", "Keras reciprocal", "inverse")
    sign = Sign.ANY
    gradient = Reads.OPERANDS
    formula = 1 / X


@dataclass(frozen=True)
class Square(Activation):
    """y = x^2."""

    name: ClassVar[str] = "square"
    foreign = ("PyTorch square", "Keras square")
    sign = Sign.NONNEGATIVE
    gradient = Reads.OPERANDS
    formula = X * X


@dataclass(frozen=True)
class Power(Activation):
    """y = x^exponent, as IEEE 754 defines pow, but NaN stays NaN.

    NaN below zero unless the exponent is whole; sqrt(x) for an exponent of 0.5.
    """

    name: ClassVar[str] = "pow"
    foreign = ("PyTorch pow", "Keras power")
    example = "pow(1.5)"
    gradient = Reads.OPERANDS

    exponent: float = attribute(kind.NUMBER)

    @property
    def sign(self) -> Sign:
        """Of even exponents never negative."""
        if self.exponent % 2 == 0:
            return Sign.NONNEGATIVE
        return Sign.KEPT if self.exponent > 0 else Sign.ANY

    @property
    def formula(self) -> Formula:
        """Products for small whole exponents, which cost less."""
        if self.exponent == 0:
            return clip(X, 1, 1)
        if self.exponent == 0.5:
            return sqrt(X)
        if not self.exponent.is_integer() or abs(self.exponent) > LARGEST_PRODUCT:
            return power(X, self.exponent)
        product, *factors = (X,) * int(abs(self.exponent))
        for factor in factors:
            product = product * factor
        return product if self.exponent > 0 else 1 / product
