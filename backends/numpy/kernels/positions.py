"""Padding, cropping, blocks of positions as channels, other axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, last_axes
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Crop, Pad, Permute, PixelShuffle, PixelUnshuffle, Reshape
from cnndsl.runtime.module import Array


def pad(op: Pad, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Positions around the map."""
    value: dict[str, Any] = {"constant_values": op.value} if op.mode == "constant" else {}
    mode: Any = op.mode
    return np.pad(inputs[0], ((0, 0), (0, 0), *op.pads), mode, **value)


def crop(op: Crop, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The positions between those left out."""
    (x,) = inputs
    axes = zip(x.shape[2:], op.cut, strict=True)
    return last_axes(x, [slice(before, n - after) for n, (before, after) in axes])


def pixel_shuffle(op: PixelShuffle, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Channels as [channels, *factor] or [*factor, channels], each factor put behind its axis."""
    (x,) = inputs
    batch, channels, *sizes = x.shape
    rank, count = len(sizes), channels // math.prod(op.factor)
    split = (count, *op.factor) if op.order == "crd" else (*op.factor, count)
    first = 2 if op.order == "crd" else 1
    axes = [1 if op.order == "crd" else 1 + rank]
    for axis in range(rank):
        axes += [2 + rank + axis, first + axis]
    moved = x.reshape(batch, *split, *sizes).transpose(0, *axes)
    return moved.reshape(batch, count, *(n * f for n, f in zip(sizes, op.factor, strict=True)))


def pixel_unshuffle(op: PixelUnshuffle, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Each axis as [blocks, factor], the factors put behind the channels or before them."""
    (x,) = inputs
    batch, channels, *sizes = x.shape
    rank = len(sizes)
    blocks = [n // f for n, f in zip(sizes, op.factor, strict=True)]
    split = [size for pair in zip(blocks, op.factor, strict=True) for size in pair]
    inner = [3 + 2 * axis for axis in range(rank)]
    head = [1, *inner] if op.order == "crd" else [*inner, 1]
    outer = [2 + 2 * axis for axis in range(rank)]
    moved = x.reshape(batch, channels, *split).transpose(0, *head, *outer)
    return moved.reshape(batch, -1, *blocks)


def permute(op: Permute, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The axes behind that of the batch in another order."""
    return inputs[0].transpose(0, *(1 + axis for axis in op.axes))


def reshape(op: Reshape, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The same elements in other axes."""
    (x,) = inputs
    return x.reshape(len(x), *op.shape)


KERNELS: dict[type[Operator], Kernel] = {
    Pad: pad,
    Crop: crop,
    PixelShuffle: pixel_shuffle,
    PixelUnshuffle: pixel_unshuffle,
    Permute: permute,
    Reshape: reshape,
}
