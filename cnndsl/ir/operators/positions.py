"""Operators that move positions: padding, cropping, blocks of positions as channels, other axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Sizes, attribute
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.index import Index, axis, flat, maximum, minimum, number, unflat
from cnndsl.ir.operator import OperatorError, Sign, Window, Windows
from cnndsl.ir.operators.bases import Channelwise, Gathering, Spatial
from cnndsl.ir.operators.convolution import check_groups
from cnndsl.ir.operators.dense import Flattening, require_known
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads


@dataclass(frozen=True)
class Pad(Spatial, Channelwise, Gathering):
    """Positions put before and after those of each axis.

    They hold `value`; or with `reflect` what lies as far from the first or last position on its
    other side, with `edge` what that position holds, with `wrap` what follows at the other end.
    """

    name: ClassVar[str] = "pad"
    foreign = (
        "PyTorch ConstantPad2d",
        "PyTorch ReflectionPad2d",
        "PyTorch ReplicationPad2d",
        "PyTorch CircularPad2d",
        "TensorFlow mirror_pad",
    )
    example = "pad(1)"

    pads: Pads = attribute(kind.SIDES)
    mode: str = attribute(kind.choice("constant", "reflect", "edge", "wrap"), "constant")
    value: float = attribute(kind.NUMBER, 0.0)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, before + n + after for each axis]."""
        (x,) = inputs
        for n, pads, least in zip(x.spatial, self.pads, self.least_sizes, strict=True):
            if isinstance(n, int) and n < least:
                raise OperatorError(
                    "E0303",
                    f"{max(pads)} positions cannot be made of {n} by {self.mode}",
                    hint="edge takes any number of positions", attribute="pads",
                    show_operands=True,
                )  # fmt: skip
        sizes = (n + sum(pads) for n, pads in zip(x.spatial, self.pads, strict=True))
        return TensorType((x.channels, *sizes))

    @property
    def least_sizes(self) -> Sizes:
        """The smallest size of each axis of the operand."""
        more = {"reflect": 1, "wrap": 0}
        return tuple(max(pads) + more[self.mode] if self.mode in more else 1 for pads in self.pads)

    @property
    def sign(self) -> Sign:
        """That of the operand, unless a number below 0 is put in."""
        return Sign.ANY if (self.fill or 0) < 0 else Sign.KEPT

    @property
    def fill(self) -> float | None:
        """What new positions hold, if they hold no other position's number."""
        return self.value if self.mode == "constant" else None

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """The position itself; reflected ones lie up to twice the padding away."""
        if self.mode == "wrap":
            return None
        if self.mode == "reflect":
            return tuple(Window(1, -b - 2 * a, b) for b, a in self.pads)
        if self.mode == "edge":
            return tuple(Window(1, -b - a, 0) for b, a in self.pads)
        return tuple(Window(1, -b, -b) for b, _ in self.pads)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """`before` positions back, which may lie outside."""
        axes = zip(x.sizes[1:], self.pads, strict=True)
        return (axis(0), *(self._source(axis(1 + k), n, b) for k, (n, (b, _)) in enumerate(axes)))

    def _source(self, j: Index, n: int, before: int) -> Index:
        if self.mode == "wrap":
            return (j + (n - before)) % n
        i = j - before
        if self.mode == "constant":
            return i
        if self.mode == "edge":
            return minimum(maximum(i, 0), n - 1)
        distance = maximum(i, before - j)
        return minimum(distance, 2 * (n - 1) - distance)


@dataclass(frozen=True)
class Crop(Spatial, Channelwise, Gathering):
    """Positions left out before and after the others of each axis.

    `sides` says how many; or `size` how many in the middle stay, the smaller half of the others
    being left out before them: floor((n - size) / 2).
    """

    name: ClassVar[str] = "crop"
    foreign = ("Keras Cropping2D", "Keras CenterCrop")
    example = "crop(2)"

    sides: Pads | None = attribute(kind.optional(kind.SIDES), None)
    size: tuple[Dim, ...] | None = attribute(kind.optional(kind.OPEN_SIZES), None)

    def bind(self, inputs: Sequence[TensorType]) -> Crop:
        """Expand to every axis; a size becomes the sides."""
        if (self.sides is None) == (self.size is None):
            raise OperatorError(
                "E0309", "crop takes sides or a size, one of them", attribute="size"
            )
        sized = super().bind(inputs)
        if sized.size is None:
            return sized
        (x,) = inputs
        sides = []
        for n, size in zip(x.spatial, sized.size, strict=True):
            left_out = n - size
            if isinstance(left_out, OpenDim):
                raise OperatorError(
                    "E0308",
                    f"crop of {n} positions to {size} leaves out {left_out}, which is open",
                    hint="sides does not depend on sizes; multiples may help: [3, 16*H, 16*W]",
                    show_operands=True,
                )
            _require_left(n, size, left_out, "size")
            sides.append((left_out // 2, left_out - left_out // 2))
        return replace(self, sides=tuple(sides), size=None)

    @property
    def cut(self) -> Pads:
        """(before, after) for each axis, once bound."""
        assert self.sides is not None
        return self.sides

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, n - before - after for each axis]."""
        (x,) = inputs
        sizes = [n - sum(cut) for n, cut in zip(x.spatial, self.cut, strict=True)]
        for n, size, cut in zip(x.spatial, sizes, self.cut, strict=True):
            _require_left(n, size, sum(cut), "sides")
        return TensorType((x.channels, *sizes))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """One position."""
        return tuple(Window(1, before, before) for before, _ in self.cut)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """`before` positions further on."""
        return (axis(0), *(axis(1 + k) + before for k, (before, _) in enumerate(self.cut)))


def _require_left(n: Dim, size: Dim, left_out: int, name: str) -> None:
    """Raise OperatorError unless of n positions a size is left that is at least 1."""
    if left_out < 0 or (isinstance(size, int) and size < 1):
        message = f"of {n} positions cannot stay {size}"
        raise OperatorError("E0303", message, attribute=name, show_operands=True)


@dataclass(frozen=True)
class PixelShuffle(Spatial, Gathering):
    """Channels become blocks of `factor` positions: C*f1*f2 channels make C maps f times as large.

    y[c, j, k] = x[c*f1*f2 + (j % f1)*f2 + k % f2, j // f1, k // f2] in the order `crd`; in the
    order `dcr` the channel is ((j % f1)*f2 + k % f2)*C + c. Source: Shi et al. (2016), Real-time
    single image and video super-resolution, section 3.1; the orders are those of the ONNX operator
    DepthToSpace, of which PyTorch has `crd`, and TensorFlow `dcr`.
    """

    name: ClassVar[str] = "pixel_shuffle"
    foreign = ("PyTorch PixelShuffle", "TensorFlow depth_to_space", "SubPixelShuffle")
    example = "pixel_shuffle(2)"

    factor: Sizes = attribute(kind.SIZES)
    order: str = attribute(kind.choice("crd", "dcr"), "crd")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels / the product of the factors, n*factor for each axis]."""
        (x,) = inputs
        parts = math.prod(self.factor)
        check_groups(parts, x.channels, parts, attribute="factor")
        sizes = (n * f for n, f in zip(x.spatial, self.factor, strict=True))
        return TensorType((x.channels // parts, *sizes))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """One position."""
        return tuple(Window(each=f) for f in self.factor)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The place inside of the block chooses the channel."""
        parts, position = number(0), [axis(1 + k) for k in range(x.rank)]
        for i, f in zip(position, self.factor, strict=True):
            parts = parts * f + i % f
        count = math.prod(self.factor)
        if self.order == "crd":
            channel = axis(0) * count + parts
        else:
            channel = parts * (x.channels // count) + axis(0)
        return (channel, *(i // f for i, f in zip(position, self.factor, strict=True)))


@dataclass(frozen=True)
class PixelUnshuffle(Spatial, Gathering):
    """Blocks of `factor` positions become channels, the inverse of pixel_shuffle.

    y[c*f1*f2 + i*f2 + l, j, k] = x[c, j*f1 + i, k*f2 + l] in the order `crd`; in the order `dcr`
    the channel of the result is (i*f2 + l)*C + c.
    """

    name: ClassVar[str] = "pixel_unshuffle"
    foreign = (
        "PyTorch PixelUnshuffle",
        "TensorFlow space_to_depth",
        "Darknet reorg",
        "YOLOv5 Focus",
    )
    example = "pixel_unshuffle(2)"

    factor: Sizes = attribute(kind.SIZES)
    order: str = attribute(kind.choice("crd", "dcr"), "crd")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels * the product of the factors, n/factor for each axis]."""
        (x,) = inputs
        if any(isinstance(n % f, OpenDim) for n, f in zip(x.spatial, self.factor, strict=True)):
            multiples = ", ".join(
                f"{f}*{s}" for f, s in zip(self.factor, "DHW"[-x.rank :], strict=True)
            )
            require_known(self.name, x, f"or multiples, as in input image [3, {multiples}]")
        if any(n % f != 0 for n, f in zip(x.spatial, self.factor, strict=True)):
            raise OperatorError(
                "E0309", f"blocks of {'x'.join(map(str, self.factor))} do not divide {x}",
                attribute="factor", show_operands=True,
            )  # fmt: skip
        sizes = (n // f for n, f in zip(x.spatial, self.factor, strict=True))
        return TensorType((x.channels * math.prod(self.factor), *sizes))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """The block."""
        return tuple(Window(f, 0, f - 1) for f in self.factor)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The channel chooses the place inside of the block."""
        count, c = math.prod(self.factor), axis(0)
        if self.order == "crd":
            channel, part = c // count, c % count
        else:
            channel, part = c % x.channels, c // x.channels
        parts = unflat(part, self.factor)
        axes = zip(self.factor, parts, strict=True)
        return (channel, *(axis(1 + k) * f + part for k, (f, part) in enumerate(axes)))


@dataclass(frozen=True)
class Permute(Gathering):
    """The axes in another order: axis k of the result is axis `axes[k]`, 0 being the channels.

    permute([1, 2, 0]) puts the channels of an image last, as the boxes of detectors are flattened.
    """

    name: ClassVar[str] = "permute"
    foreign = ("PyTorch permute", "Keras Permute", "TensorFlow transpose")
    example = "permute([1, 2, 0])"

    axes: Sizes = attribute(kind.AXES)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The sizes in that order; that of the channels must be known."""
        (x,) = inputs
        if sorted(self.axes) != list(range(x.rank + 1)):
            raise OperatorError(
                "E0309", f"axes has to hold each of 0 to {x.rank} once for {x}",
                attribute="axes", show_operands=True,
            )  # fmt: skip
        shape = tuple(x.shape[k] for k in self.axes)
        if isinstance(shape[0], OpenDim):
            require_known(self.name, x)
        return TensorType(shape)

    def is_identity(self, x: TensorType) -> bool:
        """If the axes are in order."""
        return self.axes == tuple(range(x.rank + 1))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Positions of other axes, all of them."""
        return None

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The index on the axis that it became."""
        return tuple(axis(self.axes.index(k)) for k in range(x.rank + 1))


@dataclass(frozen=True)
class Reshape(Flattening, Gathering):
    """The same elements in the same order, channel by channel (last axis fastest), in other axes.

    `shape` is [channels, *sizes] of the result; one of them can be -1, which is what is left.
    """

    name: ClassVar[str] = "reshape"
    foreign = ("PyTorch view", "PyTorch Unflatten", "Keras Reshape")
    example = "reshape([-1, 4, 4])"

    shape: tuple[int, ...] = attribute(kind.SHAPE)

    def bind(self, inputs: Sequence[TensorType]) -> Reshape:
        """Put the number for -1."""
        (x,) = inputs
        require_known(self.name, x)
        known = math.prod(n for n in self.shape if n > 0)
        shape = tuple(x.elements // known if n < 0 else n for n in self.shape)
        if math.prod(shape) != x.elements:
            shown = f"[{', '.join(map(str, self.shape))}]"
            raise OperatorError(
                "E0309", f"{x.elements} elements do not make {shown}",
                attribute="shape", show_operands=True,
            )  # fmt: skip
        return replace(self, shape=shape)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """That shape."""
        require_known(self.name, inputs[0])
        return TensorType(self.shape)

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The element with the same number."""
        return unflat(flat(self.shape), x.sizes)
