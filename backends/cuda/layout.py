"""How a tensor lies in memory: channels last, filled up to whole vectors of 16 bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cnndsl.backends.cuda.machine import TYPES, Precision
from cnndsl.ir.types import FLOAT32, DType, TensorType

Axes = tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """`batch` samples of `channels` maps of `sizes` positions, as a struct of device/base.cuh.

    Tensors of one or two spatial axes, or none, have axes of size 1 in front. Strides are the
    distances of neighbours in numbers. `block` channels can be read or written as one vector;
    lanes of the last block that hold no channel hold any finite number.
    """

    dtype: DType
    batch: int
    channels: int
    sizes: Axes
    block: int
    sample_stride: int
    channel_stride: int
    strides: Axes

    @classmethod
    def inner(cls, tensor: TensorType, batch: int, precision: Precision) -> Layout:
        """Channels last: what kernels exchange. Raises ValueError if a size is open."""
        sizes = _sizes(tensor)
        pixel = -(-tensor.channels // precision.block) * precision.block
        layout = cls(
            precision.dtype, batch, tensor.channels, sizes, precision.block, 0, 1, (0, 0, 0)
        )
        return layout.placed(pixel, pixel * math.prod(sizes))

    @classmethod
    def border(cls, tensor: TensorType, batch: int) -> Layout:
        """Channels first, float32, dense: the caller's arrays."""
        sizes = _sizes(tensor)
        plane = math.prod(sizes)
        strides = (sizes[1] * sizes[2], sizes[2], 1)
        return cls(
            FLOAT32, batch, tensor.channels, sizes, 1, plane * tensor.channels, plane, strides
        )

    def placed(self, pixel: int, sample: int) -> Layout:
        """The same tensor with other distances of pixels and of samples, in numbers."""
        _, height, width = self.sizes
        strides = (height * width * pixel, width * pixel, pixel)
        return replace(self, sample_stride=sample, strides=strides)

    def part(self, channels: int) -> Layout:
        """A layout of fewer channels that is written number by number, wherever it starts."""
        return replace(self, channels=channels, block=1)

    def repeated(self, channels: int, sizes: Axes) -> Layout:
        """The tensor with so many channels and positions, repeated along axes of size 1."""
        result = self
        if self.sizes != sizes:
            axes = zip(self.sizes, sizes, self.strides, strict=True)
            z, y, x = (stride if own == size else 0 for own, size, stride in axes)
            result = replace(self, sizes=sizes, strides=(z, y, x))
        if self.channels == 1 < channels:
            result = replace(result, channels=channels, block=1, channel_stride=0)
        return result

    @property
    def type(self) -> str:
        """The type of a number in the CUDA text."""
        return TYPES[self.dtype]

    @property
    def positions(self) -> int:
        """Positions of a map."""
        return math.prod(self.sizes)

    @property
    def padded(self) -> int:
        """Channels with those that fill up the last block."""
        return -(-self.channels // self.block) * self.block

    @property
    def blocks(self) -> int:
        """Blocks of channels."""
        return self.padded // self.block

    @property
    def sample_bytes(self) -> int:
        """Bytes of one dense sample."""
        return self.positions * self.padded * self.dtype.bytes

    @property
    def bytes(self) -> int:
        """Bytes of the numbers that count, of all samples."""
        return self.batch * self.channels * self.positions * self.dtype.bytes

    def struct(self, name: str) -> str:
        """The struct of the CUDA text.

        Where 32 bits are enough for places, they are for the numbers of threads too, of which there
        are a few more than there are elements.
        """
        z, y, x = self.sizes
        n_z, n_y, n_x = self.strides
        span = self.sample_stride * self.batch + self.channel_stride * self.padded
        index = "int" if span < 2**30 else "long long"
        return (
            f"  struct {name} {{\n    typedef {self.type} T;\n    typedef {index} Index;\n"
            f"    enum : {index} {{ N = {self.batch}, C = {self.channels}, NZ = {z}, NY = {y}, "
            f"NX = {x}, BLOCK = {self.block}, n = {self.sample_stride}, "
            f"c = {self.channel_stride}, z = {n_z}, y = {n_y}, x = {n_x} }};\n  }};\n"
        )


def _sizes(tensor: TensorType) -> Axes:
    spatial = [n for n in tensor.spatial if isinstance(n, int)]
    if len(spatial) < tensor.rank:
        raise ValueError(f"{tensor} has an open size")
    z, y, x = [1] * (3 - len(spatial)) + spatial
    return z, y, x
