"""How a tensor lies in memory: [batch, channels/block, *(spatial + halo), block] numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, all_of, div, load, mod, span, vector
from cnndsl.backends.cpu.codegen.extents import Number
from cnndsl.backends.cpu.codegen.tir import Code, Side, side
from cnndsl.backends.native.packing import FORMATS
from cnndsl.ir.types import FLOAT32, UINT8, TensorType

Halo = tuple[tuple[int, int], ...]
CACHE_LINE = 64
"""Bytes; every tensor starts at a multiple of it."""


@dataclass(frozen=True)
class Layout:
    """`block` neighbouring channels lie side by side; `halo` zeros surround each map.

    `block` 1 without a halo is the plain layout NCHW. Lanes of the last block that hold no
    channel hold any finite number. `batch_stride` is the distance of two samples in numbers; it
    is larger than a sample if the tensor is a part of a larger one.

    Numbers are of the format `dtype`, by numpy's name. Where they are codes, `zero` is the one that
    stands for zero, in the halo too. Code that is written for a layout reads it from its packed
    weights, and serves whatever it is.
    """

    channels: int
    spatial: tuple[Number, ...]
    batch: int
    block: int
    halo: Halo
    batch_stride: Number
    dtype: str = FLOAT32.name
    zero: int = field(default=0, repr=False)

    @classmethod
    def of(cls, tensor: TensorType, batch: int, block: int = 1, halo: Halo | None = None) -> Layout:
        """A layout whose samples follow one another; one if it is the same for all."""
        batch = batch if tensor.batched else 1
        spatial = tensor.sizes[1:]
        halo = halo or ((0, 0),) * len(spatial)
        layout = cls(tensor.channels, spatial, batch, block, halo, 0, tensor.dtype.name)
        return replace(layout, batch_stride=layout.blocks * layout.plane)

    @property
    def is_codes(self) -> bool:
        """Whether numbers are codes."""
        return self.dtype == UINT8.name

    @property
    def bytes(self) -> int:
        """Bytes of a number."""
        return FORMATS[self.dtype].bytes

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @property
    def blocks(self) -> int:
        """Number of channel blocks."""
        return -(-self.channels // self.block)

    @property
    def padded(self) -> tuple[Number, ...]:
        """Spatial sizes with the halo."""
        return tuple(n + sum(h) for n, h in zip(self.spatial, self.halo, strict=True))

    @property
    def is_dense(self) -> bool:
        """Whether the positions of a map follow one another without gaps."""
        return not any(map(any, self.halo))

    @property
    def plane(self) -> Number:
        """Numbers of one channel block."""
        return math.prod(self.padded) * self.block

    @property
    def size(self) -> Number:
        """Numbers of the whole tensor, up to a multiple of the cache line."""
        line = CACHE_LINE // self.bytes
        return (self.batch_stride * self.batch + line - 1) // line * line

    @property
    def strides(self) -> tuple[Number, ...]:
        """Distance of neighbouring positions on each axis in numbers."""
        padded = self.padded
        return tuple(math.prod(padded[axis + 1 :]) * self.block for axis in range(len(padded)))

    @property
    def origin(self) -> Number:
        """Index of the first position of a channel block, behind the halo."""
        return sum(
            before * stride for (before, _), stride in zip(self.halo, self.strides, strict=True)
        )

    def index(self, n: Expr, block: Expr, position: Sequence[Expr]) -> Expr:
        """Index of the first lane; positions may reach into the halo."""
        spatial = sum(p * s for p, s in zip(position, self.strides, strict=True))
        start = n * self.batch_stride if self.batch > 1 else 0
        return start + block * self.plane + spatial + self.origin


@dataclass(frozen=True)
class Thinned(Layout):
    """Of each axis of the maps of a `whole` layout some positions, at equal distances.

    `first` are the numbers of the first ones, `steps` the distances.
    """

    whole: Layout = field(kw_only=True)
    first: tuple[int, ...] = field(kw_only=True)
    steps: tuple[int, ...] = field(kw_only=True)

    @classmethod
    def thin(cls, whole: Layout, axes: Sequence[tuple[int, int, Number]]) -> Thinned:
        """First position, distance and number of those of each axis."""
        first, steps, sizes = zip(*axes, strict=True)
        none = ((0, 0),) * whole.rank
        rest = (whole.batch, whole.block, none, whole.batch_stride, whole.dtype, whole.zero)
        return cls(whole.channels, sizes, *rest, whole=whole, first=first, steps=steps)

    @property
    def is_dense(self) -> bool:
        """Not if positions are left out."""
        return False

    @property
    def plane(self) -> Number:
        """Numbers of one channel block of the whole."""
        return self.whole.plane

    @property
    def strides(self) -> tuple[Number, ...]:
        """Distance of neighbouring positions on each axis in numbers."""
        return tuple(n * step for n, step in zip(self.whole.strides, self.steps, strict=True))

    @property
    def origin(self) -> Number:
        """Index of the first position of a channel block."""
        distances = zip(self.first, self.whole.strides, strict=True)
        return self.whole.origin + sum(first * stride for first, stride in distances)


@dataclass(frozen=True)
class Place:
    """Where a value belongs: the sample, the channel block, the position.

    `lane` picks one channel of the block, for scalar values; None stands for all of them. In
    blocks of one channel a place can be that of `width` columns, `step` positions apart on the
    last axis, the first of which `position` names.
    """

    n: Expr
    block: Expr
    position: tuple[Expr, ...]
    lane: Expr | None = None
    width: int = 1
    step: int = 1

    def lanes(self, layout: Layout) -> int:
        """Numbers of the vector that lies there."""
        return self.width if self.lane is not None else self.width * layout.block


def with_lanes_cleared(value: Expr, place: Place, layout: Layout) -> Expr:
    """The value at a place, but zero in lanes that hold no channel."""
    if layout.channels % layout.block == 0:
        return value
    lanes = place.lanes(layout)
    first = place.block * layout.block + (0 if place.lane is None else place.lane)
    channels = tirx.const(layout.channels, "int32" if isinstance(first, int) else first.ty.dtype)
    unused = span(first, lanes) >= vector(channels, lanes)
    return tirx.Select(unused, vector(0.0, lanes), value)


@dataclass(frozen=True)
class Tensor:
    """A buffer that a kernel reads or writes, with its layout.

    What it writes for zero is the code `zero`, where numbers are codes.
    """

    buffer: Any
    layout: Layout
    zero: Expr = 0.0

    def zeros(self, lanes: int) -> Expr:
        """A vector that stands for zeros."""
        return vector(self.zero, lanes)

    def load(self, place: Place) -> Expr:
        """The vector of a channel block, or one lane of it, at a position; or that of columns."""
        layout = self.layout
        index = layout.index(place.n, place.block, place.position)
        if place.width > 1:
            return load(self.buffer, index, place.width, place.step)
        if place.lane is None:
            return load(self.buffer, index, layout.block)
        return load(self.buffer, index + place.lane)

    def repeated(self, place: Place, over: Layout) -> Expr:
        """As `load`, at a place of a tensor that lies like `over`.

        The tensor is repeated along axes of size 1.
        """
        own = self.layout
        axes = zip(place.position, own.spatial, strict=True) if own.spatial else ()
        position = tuple(0 if n == 1 else p for p, n in axes)
        in_row = place.width > 1 and own.spatial[-1:] not in ((), (1,))
        if own.channels == 1 < over.channels:
            index = own.index(place.n, 0, position)
            if in_row:
                return load(self.buffer, index, place.width, place.step)
            return vector(load(self.buffer, index), place.lanes(over))
        if place.width > 1 and not in_row:
            return vector(load(self.buffer, own.index(place.n, place.block, position)), place.width)
        return self.load(replace(place, position=position))

    def channel(self, n: Expr, c: Expr, position: Sequence[Expr]) -> Expr:
        """One number."""
        block = self.layout.block
        if not self.layout.spatial:
            position = ()
        if block == 1:
            return load(self.buffer, self.layout.index(n, c, position))
        index = self.layout.index(n, div(c, block), position)
        return load(self.buffer, index + mod(c, block))

    def store(self, code: Code, place: Place, value: Expr) -> None:
        """Write the vector of a channel block, or one lane of it."""
        index = self.layout.index(place.n, place.block, place.position)
        if place.lane is None:
            code.store(self.buffer, index, value, place.lanes(self.layout))
        else:
            code.store(self.buffer, index + place.lane, value)

    def clear_halo_once(self, code: Code, n: Expr, block: Expr, outer: Sequence[Expr]) -> None:
        """Clear the halo of a channel block if `outer` are the indices of its first row."""
        if any(map(any, self.layout.halo)):
            first = [index == 0 for index in outer if not isinstance(index, int)]
            with code.when(all_of(first)):
                self.clear_halo(code, n, block)

    def clear_halo(self, code: Code, n: Expr, block: Expr) -> None:
        """Write the zeros around the maps of one channel block."""
        layout = self.layout
        zero = self.zeros(layout.block)
        before: list[range | Side] = []
        for axis, (n_axis, halo) in enumerate(zip(layout.spatial, layout.halo, strict=True)):
            inner = zip(layout.spatial[axis + 1 :], layout.halo[axis + 1 :], strict=True)
            whole = [side(-b, size + a) for size, (b, a) in inner]
            for start, count in ((-halo[0], halo[0]), (n_axis, halo[1])):
                if count:
                    with code.box([*before, Side(start, count), *whole]) as position:
                        index = layout.index(n, block, position)
                        code.store(self.buffer, index, zero, layout.block)
            before.append(side(0, n_axis))
