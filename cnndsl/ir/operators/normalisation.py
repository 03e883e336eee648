"""Normalisation and learned per-channel scaling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import Formula, X, maximum, mean, parameter, sqrt, statistic, total
from cnndsl.ir.operator import OperatorError, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators.bases import ChannelMap, Channelwise, Groupwise, Pointwise, Shorthand
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import require_spatial


@dataclass(frozen=True)
class BatchNorm(ChannelMap):
    """Batch normalisation at inference, with the running statistics of the training.

    y[c] = weight[c] * (x[c] - running_mean[c]) / sqrt(running_var[c] + eps) + bias[c]. The default
    eps is that of PyTorch and ONNX; that of Keras is 1e-3.

    Source: Ioffe and Szegedy (2015), algorithm 2. Parameters: weight and bias [channels],
    learned; running_mean and running_var [channels], not learned.
    """

    name: ClassVar[str] = "bn"
    foreign = ("PyTorch BatchNorm2d", "Keras BatchNormalization")
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
    h = (size-1)/2. As in the paper, alpha is not divided by the size: the alpha of PyTorch and of
    ONNX, which is, is `size` times this one.

    Source: Krizhevsky et al. (2012), section 3.3.
    """

    name: ClassVar[str] = "lrn"
    foreign = ("PyTorch LocalResponseNorm",)
    sign = Sign.KEPT
    gradient = Reads.BOTH

    size: int = attribute(kind.ODD, 5)
    alpha: float = attribute(kind.POSITIVE, 1e-4)
    beta: float = attribute(kind.POSITIVE, 0.75)
    k: float = attribute(kind.POSITIVE, 2.0)


class _Standardised(Groupwise):
    """y = (x - mean) / sqrt(variance + eps), times weight[c] plus bias[c] if `affine`.

    Mean and variance are those of the group, the variance divided by its size. They are found in
    two walks: the second one sums up distances from a mean that may be rounded, and their squares,
    and what they tell of the mean corrects both (Chan et al. 1983, Algorithms for computing the
    sample variance, equation 1.7).
    """

    sign = Sign.ANY
    gradient = Reads.OPERANDS
    eps: float
    affine: bool

    stages = (
        {"near": mean(X)},
        {
            "rest": mean(X - statistic("near")),
            "square": mean((X - statistic("near")) * (X - statistic("near"))),
        },
    )

    @property
    def once(self) -> Mapping[str, Formula]:
        """One over the standard deviation."""
        rest = statistic("rest")
        variance = maximum(statistic("square") - rest * rest, 0)
        return {"factor": 1 / sqrt(variance + self.eps)}

    @property
    def result(self) -> Formula:
        """The distance from the mean in standard deviations, scaled and shifted."""
        distance = X - statistic("near") - statistic("rest")
        standard = distance * statistic("factor")
        return standard * parameter("weight") + parameter("bias") if self.affine else standard

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Scale and shift, if there are; neutral when initialised."""
        shape = (inputs[0].channels,)
        specs = {"weight": ParameterSpec(shape, "ones"), "bias": ParameterSpec(shape, "zeros")}
        return specs if self.affine else {}


@dataclass(frozen=True)
class LayerNorm(_Standardised, Pointwise):
    """Layer normalisation: over the channels, at each position, or over all of a vector.

    y[c] = weight[c] * (x[c] - m) / sqrt(v + eps) + bias[c] with mean m and variance v of the
    channels at the position. group_norm(1) is over all of a sample. The default eps is that of
    PyTorch and ONNX; that of Keras is 1e-3.

    Source: Ba et al. (2016), Layer normalization; over the channels of maps Liu et al. (2022), A
    ConvNet for the 2020s. Parameters: weight and bias [channels].
    """

    name: ClassVar[str] = "layer_norm"
    foreign = ("PyTorch LayerNorm", "Keras LayerNormalization")

    eps: float = attribute(kind.POSITIVE, 1e-5)
    affine: bool = attribute(kind.FLAG, True)


class _OverPositions(_Standardised):
    """Groups of channels at all positions."""

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions."""
        return None


@dataclass(frozen=True)
class InstanceNorm(_OverPositions, Channelwise):
    """Instance normalisation: each channel over all positions of the sample.

    y[c,p] = weight[c] * (x[c,p] - m[c]) / sqrt(v[c] + eps) + bias[c] with mean m and variance v of
    each map. PyTorch's default is affine=False.

    Source: Ulyanov et al. (2016), Instance normalization. Parameters: weight and bias [channels].
    """

    name: ClassVar[str] = "instance_norm"
    foreign = ("PyTorch InstanceNorm2d",)

    eps: float = attribute(kind.POSITIVE, 1e-5)
    affine: bool = attribute(kind.FLAG, True)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type of the operand, which must have positions."""
        (x,) = inputs
        require_spatial(self.name, x)
        return x

    def groups_of(self, channels: int) -> int:
        """One for each channel."""
        return channels


@dataclass(frozen=True)
class GroupNorm(_OverPositions):
    """Group normalisation: `groups` runs of neighbouring channels, each over all positions.

    y[c,p] = weight[c] * (x[c,p] - m[g]) / sqrt(v[g] + eps) + bias[c] with mean m and variance v of
    the group g of channel c. One group is layer normalisation over all of a sample. The default eps
    is that of PyTorch and ONNX; that of Keras is 1e-3.

    Source: Wu and He (2018), Group normalization. Parameters: weight and bias [channels].
    """

    name: ClassVar[str] = "group_norm"
    foreign = ("PyTorch GroupNorm", "Keras GroupNormalization")
    example = "group_norm(4)"

    groups: int = attribute(kind.COUNT)
    eps: float = attribute(kind.POSITIVE, 1e-5)
    affine: bool = attribute(kind.FLAG, True)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type of the operand."""
        (x,) = inputs
        if x.channels % self.groups:
            raise OperatorError(
                "E0302",
                f"{x.channels} channels do not divide into {self.groups} groups",
                attribute="groups",
                show_operands=True,
            )
        return x

    def groups_of(self, channels: int) -> int:
        """As many as are asked for."""
        return self.groups


class _Shortened(Groupwise, Pointwise):
    """The channels at each position over their length, times weight[c] if there is one."""

    gradient = Reads.OPERANDS
    eps: float

    @property
    @abstractmethod
    def is_weighted(self) -> bool:
        """Whether there is a weight."""

    @property
    def sign(self) -> Sign:
        """Weights may turn it."""
        return Sign.ANY if self.is_weighted else Sign.KEPT

    @property
    def result(self) -> Formula:
        """Scaled by the group, and by the weight."""
        short = X * statistic("factor")
        return short * parameter("weight") if self.is_weighted else short

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The weight, if there is one; neutral when initialised."""
        specs = {"weight": ParameterSpec((inputs[0].channels,), "ones")}
        return specs if self.is_weighted else {}


@dataclass(frozen=True)
class RmsNorm(_Shortened):
    """Division by the root of the mean square of the channels, at each position.

    y[c] = weight[c] * x[c] / sqrt(mean_j x[j]^2 + eps), the weight if `affine`. The default eps is
    that of ONNX; that of PyTorch is the spacing of floats at 1, that of Keras 1e-6.

    Source: Zhang and Sennrich (2019), Root mean square layer normalization. Parameters: weight
    [channels].
    """

    name: ClassVar[str] = "rms_norm"
    foreign = ("PyTorch RMSNorm", "Keras RMSNormalization")
    stages = ({"square": mean(X * X)},)

    eps: float = attribute(kind.POSITIVE, 1e-5)
    affine: bool = attribute(kind.FLAG, True)

    @property
    def is_weighted(self) -> bool:
        """If it is affine."""
        return self.affine

    @property
    def once(self) -> Mapping[str, Formula]:
        """One over the root mean square."""
        return {"factor": 1 / sqrt(statistic("square") + self.eps)}


@dataclass(frozen=True)
class L2Normalise(_Shortened):
    """Division by the Euclidean length of the channels, at each position.

    y[c] = x[c] / max(sqrt(sum_j x[j]^2), eps), times weight[c] if `scale`, learned.

    Source: Liu et al. (2015), ParseNet, section 3.3, as in SSD. Parameters: weight [channels].
    """

    name: ClassVar[str] = "l2_normalise"
    foreign = ("Keras UnitNormalization", "TensorFlow l2_normalize", "SSD L2Norm", "LpNorm")
    stages = ({"square": total(X * X)},)

    eps: float = attribute(kind.POSITIVE, 1e-12)
    scale: bool = attribute(kind.FLAG, False)

    @property
    def is_weighted(self) -> bool:
        """If it has a scale."""
        return self.scale

    @property
    def once(self) -> Mapping[str, Formula]:
        """One over the length."""
        return {"factor": 1 / maximum(sqrt(statistic("square")), self.eps)}


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
    foreign = ("timm LayerScale",)

    def bind(self, inputs: Sequence[TensorType]) -> Affine:
        """The affine map that it stands for."""
        return Affine(bias=False)
