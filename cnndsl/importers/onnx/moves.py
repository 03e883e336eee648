"""The operators that lay the elements of a node out anew, as few as there are for it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnndsl.importers.onnx.layout import (
    Axis,
    Factor,
    Layout,
    natural,
    normal,
    sizes_of,
)
from cnndsl.importers.onnx.refusal import unsupported
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Flatten,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Shuffle,
)
from cnndsl.ir.types import TensorType

MOST_AXES = 4
"""Axes of a map without the batch."""


def moves(x: TensorType, layout: Layout) -> list[Operator]:
    """Operators one after another that make a layout of the elements of a node natural."""
    shape = sizes_of(layout)[1:]
    if not 1 <= len(shape) <= MOST_AXES:
        raise unsupported(f"a tensor of {len(shape)} axes beside the batch has to be computed")
    plain = natural(x.shape)
    flat = normal([factor for axis in layout[1:] for factor in axis])
    if flat == normal([factor for axis in plain[1:] for factor in axis]):
        return [Flatten() if len(shape) == 1 else _reshape(shape)]
    axes = [plain.index(axis) - 1 for axis in layout[1:] if axis in plain]
    if sorted(axes) == list(range(len(plain) - 1)) and len(axes) == len(shape):
        return [Permute(tuple(axes))]
    known = next(_blocks(x, layout), None)
    return [known] if known else _by_parts(x, flat, shape)


def _reshape(shape: tuple[object, ...]) -> Reshape:
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) < len(shape):
        raise unsupported("elements of a map of open size move", "give the inputs known sizes")
    return Reshape(sizes)


def _by_parts(x: TensorType, flat: Axis, shape: tuple[object, ...]) -> list[Operator]:
    """The axes cut into parts, these in another order, and put together."""
    parts = sorted(flat, key=lambda factor: (factor.axis, -factor.step))
    if len(parts) > MOST_AXES:
        raise unsupported(f"the elements of {x} are moved in {len(parts)} parts of its axes")
    sizes = _reshape(tuple(factor.size for factor in parts))
    order = Permute(tuple(parts.index(factor) for factor in flat))
    made = tuple(factor.size for factor in flat)
    return [
        *([sizes] if sizes.shape != x.shape else []),
        order,
        *([_reshape(shape)] if made != shape else []),
    ]


def _blocks(x: TensorType, layout: Layout) -> Iterator[Operator]:
    """Channel shuffles, and channels that become blocks of positions, or the other way round."""
    plain = natural(x.shape)
    if len(layout) != len(plain) or x.is_open:
        return
    spatial = range(1, len(layout) - 1)
    match layout[1]:
        case (Factor(0, int(), 1), Factor(0, int(groups), _)):
            if layout == _shuffled(x, groups):
                yield Shuffle(groups)
    sizes = sizes_of(layout)
    grown = [int(str(sizes[a + 1])) // x.sizes[a] for a in spatial]
    if all(f >= 1 for f in grown) and x.channels % math.prod(grown) == 0:
        for order in ("crd", "dcr"):
            if layout == _pixels(x, grown, order):
                yield PixelShuffle(tuple(grown), order)
    shrunk = [x.sizes[a] // max(int(str(sizes[a + 1])), 1) for a in spatial]
    if all(f >= 1 and x.sizes[a] % f == 0 for a, f in zip(spatial, shrunk, strict=True)):
        for order in ("crd", "dcr"):
            if layout == _channels(x, shrunk, order):
                yield PixelUnshuffle(tuple(shrunk), order)


def _shuffled(x: TensorType, groups: int) -> Layout:
    inner = x.channels // groups
    channels = normal([Factor(0, inner), Factor(0, groups, inner)])
    return (natural(())[0], channels, *natural(x.shape)[2:])


def _pixels(x: TensorType, factors: list[int], order: str) -> Layout:
    """The layout that `pixel_shuffle` makes natural."""
    channels = x.channels // math.prod(factors)
    step = 1 if order == "crd" else channels
    steps = [step * math.prod(factors[a + 1 :]) for a in range(len(factors))]
    first = Factor(0, channels, math.prod(factors) if order == "crd" else 1)
    axes = (
        normal([Factor(a, x.sizes[a]), Factor(0, f, s)])
        for a, (f, s) in enumerate(zip(factors, steps, strict=True), 1)
    )
    return (natural(())[0], normal([first]), *axes)


def _channels(x: TensorType, factors: list[int], order: str) -> Layout:
    """The layout that `pixel_unshuffle` makes natural."""
    blocks = [Factor(a, f) for a, f in enumerate(factors, 1)]
    own = Factor(0, x.channels)
    channels = [own, *blocks] if order == "crd" else [*blocks, own]
    axes = (normal([Factor(a, x.sizes[a] // f, f)]) for a, f in enumerate(factors, 1))
    return (natural(())[0], normal(channels), *axes)
