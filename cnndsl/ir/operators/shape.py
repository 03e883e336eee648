"""Operators that select, reorder and repeat elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Sizes, attribute
from cnndsl.ir.index import Index, axis
from cnndsl.ir.operator import OperatorError, Window, Windows
from cnndsl.ir.operators.bases import Channelwise, Gathering, Pointwise, Spatial
from cnndsl.ir.operators.convolution import check_groups
from cnndsl.ir.types import TensorType


@dataclass(frozen=True)
class Slice(Pointwise, Gathering):
    """The channels from `start` up to, not including, `stop`: y = x[start:stop]."""

    name: ClassVar[str] = "slice"
    example = "slice(0, 4)"

    start: int = attribute(kind.INDEX)
    stop: int = attribute(kind.COUNT)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[stop-start, *spatial]."""
        (x,) = inputs
        if not self.start < self.stop <= x.channels:
            raise OperatorError(
                "E0304",
                f"channels {self.start} up to {self.stop} are not a part of the {x.channels} "
                "channels of the input (counted from 0, the end left out)",
                attribute="stop" if self.stop > x.channels else "start",
                show_operands=True,
            )
        return TensorType((self.stop - self.start, *x.spatial))

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """`start` channels further on."""
        return (axis(0) + self.start, *_same(x))


@dataclass(frozen=True)
class Shuffle(Pointwise, Gathering):
    """Channel shuffle: reshape the channels to (groups, C/groups), transpose, flatten.

    y[i*groups + g] = x[g*(C/groups) + i]. Source: Zhang et al. (2018), ShuffleNet, section 3.1.
    """

    name: ClassVar[str] = "shuffle"
    foreign = ("PyTorch ChannelShuffle",)
    example = "shuffle(2)"

    groups: int = attribute(kind.COUNT)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of the input."""
        check_groups(self.groups, inputs[0].channels, self.groups)
        return inputs[0]

    def is_identity(self, x: TensorType) -> bool:
        """Of one group, or groups of one channel."""
        return self.groups in (1, x.channels)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """Channel c is number c // groups of group c % groups."""
        c, groups = axis(0), self.groups
        return (c % groups * (x.channels // groups) + c // groups, *_same(x))


@dataclass(frozen=True)
class PadChannels(Pointwise, Gathering):
    """Zero channels appended up to `channels` in all.

    With subsample this is shortcut option A of He et al. (2016), section 3.3.
    """

    name: ClassVar[str] = "pad_channels"
    example = "pad_channels(12)"
    fill = 0.0

    channels: int = attribute(kind.COUNT)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, *spatial]."""
        (x,) = inputs
        if x.channels > self.channels:
            raise OperatorError(
                "E0305",
                f"the input has {x.channels} channels already, more than {self.channels}",
                attribute="channels",
                show_operands=True,
            )
        return TensorType((self.channels, *x.spatial))

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The same, or outside."""
        return (axis(0), *_same(x))


@dataclass(frozen=True)
class Subsample(Spatial, Channelwise, Gathering):
    """Every stride-th position, from the first: y[c,j,k] = x[c, j*s1, k*s2]."""

    name: ClassVar[str] = "subsample"
    example = "subsample(2)"

    stride: Sizes = attribute(kind.SIZES)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, ceil(n/stride) for each axis]."""
        (x,) = inputs
        sizes = ((n - 1) // s + 1 for n, s in zip(x.spatial, self.stride, strict=True))
        return TensorType((x.channels, *sizes))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """One position."""
        return tuple(Window(s) for s in self.stride)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """`stride` times as far."""
        return (axis(0), *(i * s for i, s in zip(_same(x), self.stride, strict=True)))


@dataclass(frozen=True)
class Upsample(Spatial, Channelwise, Gathering):
    """Nearest-neighbour enlargement by whole factors: y[c,j,k] = x[c, j // f1, k // f2]."""

    name: ClassVar[str] = "upsample"
    foreign = ("PyTorch UpsamplingNearest2d", "Keras UpSampling2D")
    example = "upsample(2)"

    factor: Sizes = attribute(kind.SIZES)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, n*factor for each axis]."""
        (x,) = inputs
        sizes = (n * f for n, f in zip(x.spatial, self.factor, strict=True))
        return TensorType((x.channels, *sizes))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """One position."""
        return tuple(Window(each=f) for f in self.factor)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """`factor` times as near."""
        return (axis(0), *(i // f for i, f in zip(_same(x), self.factor, strict=True)))


def _same(x: TensorType) -> tuple[Index, ...]:
    """The position of the result, on each axis of the operand."""
    return tuple(axis(1 + number) for number in range(x.rank))
