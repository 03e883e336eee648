"""Activations: functions of single elements, and of the channels at one position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.operator import Operator, OperatorError, ParameterSpec
from cnndsl.ir.types import TensorType


@dataclass(frozen=True)
class Relu(Operator):
    """Rectified linear unit: y = max(x, 0). Source: Nair and Hinton (2010)."""

    name: ClassVar[str] = "relu"


@dataclass(frozen=True)
class Relu6(Operator):
    """Rectified linear unit with a ceiling: y = min(max(x, 0), 6). Source: Howard et al. (2017)."""

    name: ClassVar[str] = "relu6"


@dataclass(frozen=True)
class LeakyRelu(Operator):
    """y = x for x >= 0, slope * x below. Source: Maas et al. (2013)."""

    name: ClassVar[str] = "leaky_relu"

    slope: float = attribute(kind.NUMBER, 0.01)


@dataclass(frozen=True)
class PRelu(Operator):
    """y[c] = x[c] for x[c] >= 0, weight[c] * x[c] below, the slopes learned.

    Source: He et al. (2015), Delving deep into rectifiers, section 2.1. Parameters: weight
    [channels], 0.25 when initialised.
    """

    name: ClassVar[str] = "prelu"

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """One slope for each channel."""
        return {"weight": ParameterSpec((inputs[0].channels,), "prelu")}


@dataclass(frozen=True)
class Sigmoid(Operator):
    """Logistic function: y = 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"


@dataclass(frozen=True)
class Tanh(Operator):
    """Hyperbolic tangent: y = tanh(x)."""

    name: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class Silu(Operator):
    """Sigmoid-weighted linear unit, or swish: y = x / (1 + exp(-x)).

    Source: Elfwing et al. (2018).
    """

    name: ClassVar[str] = "silu"


@dataclass(frozen=True)
class HardSigmoid(Operator):
    """Piecewise linear sigmoid: y = min(max(x + 3, 0), 6) / 6.

    Source: Howard et al. (2019), Searching for MobileNetV3, section 5.2.
    """

    name: ClassVar[str] = "hard_sigmoid"


@dataclass(frozen=True)
class HardSwish(Operator):
    """Piecewise swish: y = x * min(max(x + 3, 0), 6) / 6.

    Source: Howard et al. (2019), Searching for MobileNetV3, section 5.2.
    """

    name: ClassVar[str] = "hard_swish"


@dataclass(frozen=True)
class Softmax(Operator):
    """Softmax over the channels, at each position: y[c] = exp(x[c]) / sum_j exp(x[j]).

    NaN in all channels if one is NaN or plus infinity, or all are minus infinity.
    """

    name: ClassVar[str] = "softmax"


@dataclass(frozen=True)
class Maxout(Operator):
    """Largest of each run of `pieces` channels: y[c] = max_{0<=j<p} x[c*p + j].

    Source: Goodfellow et al. (2013), Maxout networks.
    """

    name: ClassVar[str] = "maxout"

    pieces: int = attribute(kind.COUNT)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels/pieces, *spatial]."""
        (x,) = inputs
        if x.channels % self.pieces:
            raise OperatorError(
                "E0302",
                f"{x.channels} channels do not divide into runs of {self.pieces}",
                attribute="pieces",
                show_operands=True,
            )
        return TensorType((x.channels // self.pieces, *x.spatial))


@dataclass(frozen=True)
class ChannelMax(Operator):
    """Largest channel at each position, as a map of one channel: y[0] = max_c x[c]."""

    name: ClassVar[str] = "channel_max"

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[1, *spatial]."""
        return TensorType((1, *inputs[0].spatial))


ACTIVATIONS = (
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)
"""Functions of single elements: y[i] depends on x[i] alone, and on the channel for prelu."""

PLAIN_ACTIVATIONS = tuple(op for op in ACTIVATIONS if op not in (LeakyRelu, PRelu))
"""Those without attributes and parameters."""
