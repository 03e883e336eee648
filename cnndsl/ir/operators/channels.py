"""Functions of the channels at one position: softmax, the largest, their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import X, exp, largest, log, mean, statistic, total
from cnndsl.ir.operator import OperatorError, Reads, Sign
from cnndsl.ir.operators.bases import Groupwise, Pointwise
from cnndsl.ir.types import TensorType


class _OfPowers(Groupwise, Pointwise):
    """Shifted by the largest channel against overflow."""

    gradient = Reads.RESULT
    stages = (
        {"largest": largest(X)},
        {"total": total(exp(X - statistic("largest")))},
    )


@dataclass(frozen=True)
class Softmax(_OfPowers):
    """Softmax over the channels, at each position: y[c] = exp(x[c]) / sum_j exp(x[j]).

    This is dim=1 in PyTorch, axis=1 in ONNX, and axis=-1 in Keras, which has the channels last.
    NaN in all channels if one is NaN or plus infinity, or all are minus infinity.
    """

    name: ClassVar[str] = "softmax"
    foreign = ("PyTorch Softmax", "Keras Softmax")
    sign = Sign.NONNEGATIVE
    once: ClassVar = {"factor": 1 / statistic("total")}
    result = exp(X - statistic("largest")) * statistic("factor")


@dataclass(frozen=True)
class LogSoftmax(_OfPowers):
    """Logarithm of softmax, at each position: y[c] = x[c] - log(sum_j exp(x[j]))."""

    name: ClassVar[str] = "log_softmax"
    foreign = ("PyTorch LogSoftmax", "Keras log_softmax")
    sign = Sign.ANY
    once: ClassVar = {"rest": log(statistic("total"))}
    result = X - statistic("largest") - statistic("rest")


@dataclass(frozen=True)
class Maxout(Pointwise):
    """Largest of each run of `pieces` channels: y[c] = max_{0<=j<p} x[c*p + j].

    Source: Goodfellow et al. (2013), Maxout networks.
    """

    name: ClassVar[str] = "maxout"
    example = "maxout(2)"
    selects = True
    sign = Sign.KEPT
    gradient = Reads.BOTH

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


class _Channel(Groupwise, Pointwise):
    """A statistic of the channels at each position, as a map of one channel."""

    in_place = False
    selects = True
    sign = Sign.KEPT
    result = statistic("channel")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[1, *spatial]."""
        return TensorType((1, *inputs[0].spatial))


@dataclass(frozen=True)
class ChannelMax(_Channel):
    """Largest channel at each position, as a map of one channel: y[0] = max_c x[c]."""

    name: ClassVar[str] = "channel_max"
    gradient = Reads.BOTH
    stages = ({"channel": largest(X)},)


@dataclass(frozen=True)
class ArgMax(Pointwise):
    """Number of the largest channel at each position, from 0, as a map of one channel.

    That of the first one if several are; NaN counts as largest. The numbers are of the operand's
    dtype: in float32 whole numbers are exact up to 2^24.
    """

    name: ClassVar[str] = "argmax"
    foreign = ("PyTorch argmax", "Keras argmax")
    sign = Sign.NONNEGATIVE
    gradient = Reads.OPERANDS

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[1, *spatial]."""
        return TensorType((1, *inputs[0].spatial))


@dataclass(frozen=True)
class ChannelMean(_Channel):
    """Mean of the channels at each position, as a map of one channel: y[0] = mean_c x[c].

    With channel_max, what the spatial attention of Woo et al. (2018), CBAM, section 3.2, reads.
    """

    name: ClassVar[str] = "channel_mean"
    gradient = Reads.NOTHING
    stages = ({"channel": mean(X)},)
