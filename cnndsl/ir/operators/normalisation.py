"""Normalisation and learned per-channel scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import Formula, X, parameter, sqrt
from cnndsl.ir.operator import ParameterSpec, Reads, Sign
from cnndsl.ir.operators.bases import ChannelMap, Pointwise, Shorthand
from cnndsl.ir.types import TensorType


@dataclass(frozen=True)
class BatchNorm(ChannelMap):
    """Batch normalisation at inference, with the running statistics of the training.

    y[c] = weight[c] * (x[c] - running_mean[c]) / sqrt(running_var[c] + eps) + bias[c].

    Source: Ioffe and Szegedy (2015), algorithm 2. Parameters: weight and bias [channels],
    learned; running_mean and running_var [channels], not learned.
    """

    name: ClassVar[str] = "bn"
    foreign = ("batchnorm",)
    gradient = Reads.OPERANDS

    eps: float = attribute(kind.POSITIVE, 1e-5)

    @property
    def formula(self) -> Formula:
        """Scale and shift by the statistics."""
        deviation = sqrt(parameter("running_var") + self.eps)
        scaled = (X - parameter("running_mean")) / deviation
        return scaled * parameter("weight") + parameter("bias")

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Scale, shift and the statistics; neutral when initialised."""
        shape = (inputs[0].channels,)
        return {
            "weight": ParameterSpec(shape, "ones"),
            "bias": ParameterSpec(shape, "zeros"),
            "running_mean": ParameterSpec(shape, "zeros", learned=False),
            "running_var": ParameterSpec(shape, "ones", learned=False),
        }


@dataclass(frozen=True)
class LocalResponseNorm(Pointwise):
    """Local response normalisation across `size` neighbouring channels.

    y[c] = x[c] / (k + alpha * sum_{j=max(0, c-h)}^{min(C-1, c+h)} x[j]^2)^beta with
    h = (size-1)/2. As in the paper, alpha is not divided by the size.

    Source: Krizhevsky et al. (2012), section 3.3.
    """

    name: ClassVar[str] = "lrn"
    foreign = ("localresponsenorm",)
    sign = Sign.KEPT
    gradient = Reads.BOTH

    size: int = attribute(kind.ODD, 5)
    alpha: float = attribute(kind.POSITIVE, 1e-4)
    beta: float = attribute(kind.POSITIVE, 0.75)
    k: float = attribute(kind.POSITIVE, 2.0)


@dataclass(frozen=True)
class Affine(ChannelMap):
    """Learned scale and shift of each channel: y[c] = weight[c] * x[c] + bias[c].

    The coefficients of LeNet-5's subsampling layers (LeCun et al. 1998, section II.B).
    Parameters: weight and, if there is a `bias`, bias [channels].
    """

    name: ClassVar[str] = "affine"
    gradient = Reads.OPERANDS

    bias: bool = attribute(kind.FLAG, True)

    @property
    def formula(self) -> Formula:
        """Scale and shift."""
        scaled = X * parameter("weight")
        return scaled + parameter("bias") if self.bias else scaled

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Scale and shift; neutral when initialised."""
        shape = (inputs[0].channels,)
        specs = {"weight": ParameterSpec(shape, "ones"), "bias": ParameterSpec(shape, "zeros")}
        return specs if self.bias else {"weight": specs["weight"]}


@dataclass(frozen=True)
class LayerScale(Shorthand):
    """Learned factor of each channel: y[c] = weight[c] * x[c]. Stands for affine(bias=false).

    Source: Touvron et al. (2021), Going deeper with image transformers, where training starts
    from small factors; here they start at 1. Parameters: weight [channels].
    """

    name: ClassVar[str] = "layer_scale"

    def bind(self, inputs: Sequence[TensorType]) -> Affine:
        """The affine map that it stands for."""
        return Affine(bias=False)
