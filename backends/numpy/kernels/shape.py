"""Selection, reordering and repetition of elements; what passes a value on."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, last_axes
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Dropout,
    DropPath,
    Identity,
    PadChannels,
    Resize,
    Shuffle,
    Slice,
    Subsample,
    Upsample,
)
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array


def identity(op: Operator, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The operand."""
    return inputs[0]


def shuffle(op: Shuffle, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Channels as a matrix [groups, channels/groups], transposed."""
    (x,) = inputs
    batch, channels, *spatial = x.shape
    matrix = x.reshape(batch, op.groups, channels // op.groups, *spatial)
    return matrix.swapaxes(1, 2).reshape(x.shape)


def pad_channels(op: PadChannels, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Zero channels at the end."""
    (x,) = inputs
    widths = [(0, 0)] * x.ndim
    widths[1] = (0, op.channels - x.shape[1])
    return np.pad(x, widths)


def subsample(op: Subsample, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Every stride-th position."""
    return last_axes(inputs[0], [slice(None, None, s) for s in op.stride])


def upsample(op: Upsample, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Every position repeated on each axis."""
    (x,) = inputs
    for axis, factor in enumerate(op.factor, start=2):
        x = np.repeat(x, factor, axis)
    return x


def resize(op: Resize, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Axis by axis the weighted sum of the elements at the taps."""
    (x,) = inputs
    _, *sizes = op.output_type([TensorType(x.shape[1:])]).sizes
    for axis, results in enumerate(sizes):
        taps = op.taps(axis, x.shape[2 + axis], results)
        places, weights = np.moveaxis(np.array(taps), 2, 0)
        along = (-1, *(1,) * (x.ndim - 3 - axis))
        terms = (
            np.take(x, places[:, tap].astype(int), 2 + axis)
            * weights[:, tap].astype(x.dtype).reshape(along)
            for tap in range(places.shape[1])
        )
        x = sum(terms, np.zeros((), x.dtype))
    return x


KERNELS: dict[type[Operator], Kernel] = {
    Identity: identity,
    Dropout: identity,
    DropPath: identity,
    Slice: lambda op, inputs, params: inputs[0][:, op.start : op.stop],
    Shuffle: shuffle,
    PadChannels: pad_channels,
    Subsample: subsample,
    Upsample: upsample,
    Resize: resize,
}
