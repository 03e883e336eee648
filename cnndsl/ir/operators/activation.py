"""Activations: functions of single elements that are not linear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.derivative import differentiate
from cnndsl.ir.formula import (
    Formula,
    X,
    clip,
    erf,
    exp,
    log,
    maximum,
    minimum,
    parameter,
    rectified,
    select,
    tanh,
)
from cnndsl.ir.operator import OperatorError, ParameterSpec, Reads, Sign
from cnndsl.ir.operators.bases import Elementwise
from cnndsl.ir.types import TensorType


class Activation(Elementwise):
    """A function of single elements that is not linear."""


@dataclass(frozen=True)
class Relu(Activation):
    """Rectified linear unit: y = max(x, 0). Source: Nair and Hinton (2010)."""

    name: ClassVar[str] = "relu"
    foreign = ("PyTorch ReLU", "Keras ReLU")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT
    formula = maximum(X, 0)
    derivative_by_result = differentiate(formula, X)


@dataclass(frozen=True)
class Relu6(Activation):
    """Rectified linear unit with a ceiling: y = min(max(x, 0), 6). Source: Howard et al. (2017)."""

    name: ClassVar[str] = "relu6"
    foreign = ("PyTorch ReLU6", "Keras relu6")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT
    formula = clip(X, 0, 6)
    derivative_by_result = differentiate(formula, X)


@dataclass(frozen=True)
class Clamp(Activation):
    """y = min(max(x, low), high), or one of the two where only one limit is given.

    Source: Collobert (2004), who calls that of -1 to 1 hardtanh.
    """

    name: ClassVar[str] = "clamp"
    foreign = ("PyTorch clamp", "PyTorch Hardtanh", "Keras clip")
    example = "clamp(-1, 1)"
    gradient = Reads.RESULT

    low: float | None = attribute(kind.optional(kind.NUMBER), None)
    high: float | None = attribute(kind.optional(kind.NUMBER), None)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """As it is. Raises OperatorError if low is over high, or neither is given."""
        if self.low is None and self.high is None:
            raise OperatorError("E0309", "clamp needs a limit: low, high or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise OperatorError(
                "E0309", f"low {self.low:g} is over high {self.high:g}", attribute="low"
            )
        return self

    @property
    def sign(self) -> Sign:
        """That of the limits."""
        if self.low is not None and self.low >= 0:
            return Sign.NONNEGATIVE
        return Sign.KEPT if self.high is None or self.high >= 0 else Sign.ANY

    @property
    def formula(self) -> Formula:
        """Between the limits."""
        above = X if self.low is None else maximum(X, self.low)
        return above if self.high is None else minimum(above, self.high)

    @property
    def derivative_by_result(self) -> Formula:
        """At a limit 0, between them 1."""
        return differentiate(self.formula, X)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """y = x for x >= 0, slope * x below. Source: Maas et al. (2013).

    The default slope is that of PyTorch and ONNX; that of Keras is 0.3.
    """

    name: ClassVar[str] = "leaky_relu"
    foreign = ("PyTorch LeakyReLU", "Keras LeakyReLU")
    sign = Sign.KEPT

    slope: float = attribute(kind.NUMBER, 0.01)

    @property
    def gradient(self) -> Reads:
        """The result tells the side, unless the slope turns the sign."""
        return Reads.RESULT if self.slope >= 0 else Reads.OPERANDS

    @property
    def formula(self) -> Formula:
        """The slope below zero is an attribute."""
        return rectified(X, X * self.slope)


@dataclass(frozen=True)
class PRelu(Activation):
    """y[c] = x[c] for x[c] >= 0, weight[c] * x[c] below, the slopes learned.

    Source: He et al. (2015), Delving deep into rectifiers, section 2.1. Parameters: weight
    [channels], 0.25 when initialised.
    """

    name: ClassVar[str] = "prelu"
    foreign = ("PyTorch PReLU", "Keras PReLU")
    sign = Sign.KEPT
    gradient = Reads.OPERANDS
    formula = rectified(X, X * parameter("weight"))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """One slope for each channel."""
        return {"weight": ParameterSpec((inputs[0].channels,), "prelu")}


@dataclass(frozen=True)
class Elu(Activation):
    """Exponential linear unit: y = x for x >= 0, alpha * (exp(x) - 1) below.

    Source: Clevert et al. (2016).
    """

    name: ClassVar[str] = "elu"
    foreign = ("PyTorch ELU", "Keras ELU")
    sign = Sign.KEPT
    gradient = Reads.RESULT

    alpha: float = attribute(kind.POSITIVE, 1.0)

    @property
    def formula(self) -> Formula:
        """The exponential saturates below zero."""
        return rectified(X, (exp(X) - 1) * self.alpha)


@dataclass(frozen=True)
class Celu(Activation):
    """Continuous exponential linear unit: y = x for x >= 0, alpha * (exp(x/alpha) - 1) below.

    Source: Barron (2017), Continuously differentiable exponential linear units.
    """

    name: ClassVar[str] = "celu"
    foreign = ("PyTorch CELU", "Keras celu")
    sign = Sign.KEPT
    gradient = Reads.RESULT

    alpha: float = attribute(kind.POSITIVE, 1.0)

    @property
    def formula(self) -> Formula:
        """The exponential saturates below zero."""
        return rectified(X, (exp(X / self.alpha) - 1) * self.alpha)


@dataclass(frozen=True)
class Selu(Activation):
    """Scaled exponential linear unit: y = scale * (x for x >= 0, alpha * (exp(x) - 1) below).

    Source: Klambauer et al. (2017), Self-normalizing neural networks, equation 2; the defaults are
    those for which mean 0 and variance 1 stay.
    """

    name: ClassVar[str] = "selu"
    foreign = ("PyTorch SELU", "Keras selu")
    sign = Sign.KEPT
    gradient = Reads.RESULT

    alpha: float = attribute(kind.POSITIVE, 1.6732632423543772)
    scale: float = attribute(kind.POSITIVE, 1.0507009873554805)

    @property
    def formula(self) -> Formula:
        """The exponential saturates below zero."""
        return rectified(X * self.scale, (exp(X) - 1) * (self.alpha * self.scale))


@dataclass(frozen=True)
class ThresholdedRelu(Activation):
    """y = x for x > alpha, 0 elsewhere. Source: Konda et al. (2015), Zero-bias autoencoders."""

    name: ClassVar[str] = "thresholded_relu"
    foreign = ("PyTorch Threshold",)

    alpha: float = attribute(kind.NUMBER, 1.0)

    @property
    def sign(self) -> Sign:
        """Nowhere below the threshold but for zeros."""
        return Sign.NONNEGATIVE if self.alpha >= 0 else Sign.KEPT

    @property
    def gradient(self) -> Reads:
        """The result is zero below the threshold only, unless that is negative."""
        return Reads.RESULT if self.alpha >= 0 else Reads.OPERANDS

    @property
    def formula(self) -> Formula:
        """Cut off at the threshold."""
        return select(self.alpha, X, 0, X)


@dataclass(frozen=True)
class Softplus(Activation):
    """Smooth rectifier: y = log(1 + exp(beta * x)) / beta. Source: Glorot et al. (2011)."""

    name: ClassVar[str] = "softplus"
    foreign = ("PyTorch Softplus", "Keras softplus")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT

    beta: float = attribute(kind.POSITIVE, 1.0)

    @property
    def formula(self) -> Formula:
        """Without overflow: the exponential is at most 1."""
        x = X * self.beta
        return (maximum(x, 0) + log(exp(-abs(x)) + 1)) / self.beta

    @property
    def derivative(self) -> Formula:
        """A logistic function."""
        return 1 / (exp(X * -self.beta) + 1)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """Logistic function: y = 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"
    foreign = ("PyTorch Sigmoid", "Keras sigmoid")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT
    formula = 1 / (exp(-X) + 1)
    derivative = formula * (-formula + 1)
    derivative_by_result = X * (-X + 1)


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent: y = tanh(x)."""

    name: ClassVar[str] = "tanh"
    foreign = ("PyTorch Tanh", "Keras tanh")
    sign = Sign.KEPT
    gradient = Reads.RESULT
    formula = tanh(X)
    derivative_by_result = X * -X + 1


@dataclass(frozen=True)
class Silu(Activation):
    """Sigmoid-weighted linear unit, or swish: y = x / (1 + exp(-x)).

    Source: Elfwing et al. (2018).
    """

    name: ClassVar[str] = "silu"
    foreign = ("PyTorch SiLU", "Keras silu", "swish")
    sign = Sign.KEPT
    gradient = Reads.OPERANDS
    formula = X / (exp(-X) + 1)
    derivative = (X - formula + 1) / (exp(-X) + 1)


@dataclass(frozen=True)
class Mish(Activation):
    """y = x * tanh(log(1 + exp(x))). Source: Misra (2020)."""

    name: ClassVar[str] = "mish"
    foreign = ("PyTorch Mish", "Keras mish")
    sign = Sign.KEPT
    gradient = Reads.OPERANDS

    @property
    def formula(self) -> Formula:
        """tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2), by p = exp(-|x|), which is at most 1."""
        p = exp(-abs(X))
        part = select(X, 0, p * 2 + 1, p * p + p * 2)
        return X * (part / (part + select(X, 0, p * p * 2, 2)))


@dataclass(frozen=True)
class Softsign(Activation):
    """y = x / (1 + |x|). Source: Bergstra et al. (2009)."""

    name: ClassVar[str] = "softsign"
    foreign = ("PyTorch Softsign", "Keras softsign")
    sign = Sign.KEPT
    gradient = Reads.RESULT
    formula = X / (abs(X) + 1)


@dataclass(frozen=True)
class Gelu(Activation):
    """Gaussian error linear unit: y = x/2 * (1 + erf(x / sqrt(2))).

    With `tanh` its approximation y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), which is
    approximate="tanh" in PyTorch and ONNX, approximate=True in Keras.
    Source: Hendrycks and Gimpel (2016).
    """

    name: ClassVar[str] = "gelu"
    foreign = ("PyTorch GELU", "Keras gelu")
    sign = Sign.KEPT
    gradient = Reads.OPERANDS

    tanh: bool = attribute(kind.FLAG, False)

    @property
    def formula(self) -> Formula:
        """x times the share of a normal distribution that lies below it."""
        if self.tanh:
            inner = (X * X * X * 0.044715 + X) * math.sqrt(2 / math.pi)
            return X * 0.5 * (tanh(inner) + 1)
        return X * 0.5 * (erf(X * math.sqrt(0.5)) + 1)


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """Piecewise linear sigmoid: y = min(max(alpha * x + beta, 0), 1).

    Source: Courbariaux et al. (2015), BinaryConnect, with an alpha of 0.5. That of 1/6,
    or min(max(x + 3, 0), 6) / 6, is from Howard et al. (2019), Searching for MobileNetV3, section
    5.2, and that of PyTorch and Keras 3; the default of ONNX is 0.2.
    """

    name: ClassVar[str] = "hard_sigmoid"
    foreign = ("PyTorch Hardsigmoid", "Keras hard_sigmoid")
    sign = Sign.NONNEGATIVE
    gradient = Reads.RESULT

    alpha: float = attribute(kind.NUMBER, 1 / 6)
    beta: float = attribute(kind.NUMBER, 0.5)

    @property
    def formula(self) -> Formula:
        """A line between two limits."""
        return clip(X * self.alpha + self.beta, 0, 1)


@dataclass(frozen=True)
class HardSwish(Activation):
    """Piecewise swish: y = x * min(max(x + 3, 0), 6) / 6.

    Source: Howard et al. (2019), Searching for MobileNetV3, section 5.2.
    """

    name: ClassVar[str] = "hard_swish"
    foreign = ("PyTorch Hardswish", "Keras hard_swish")
    sign = Sign.KEPT
    gradient = Reads.OPERANDS
    formula = X * (clip(X + 3, 0, 6) * (1 / 6))
