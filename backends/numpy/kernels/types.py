"""What a kernel is, and how kernels walk over windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from cnndsl.ir.operator import Operator
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads
from cnndsl.runtime.module import Array

Kernel: TypeAlias = Callable[[Any, list[Array], dict[str, Array]], Array]
"""(bound operator, operands [batch, channels, *spatial], parameters by role) -> result.

A kernel keeps the dtype of its operands and does not write into them.
"""


def output_shape(op: Operator, x: Array) -> tuple[int, ...]:
    """[channels, *spatial] of the operator's result for one operand."""
    shape = op.infer([TensorType(x.shape[1:])]).shape
    return tuple(size for size in shape if isinstance(size, int))


def padded(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """The array with (before, after) positions of a constant added to each spatial axis."""
    if not any(map(any, pads)):
        return x
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value)


def taps(
    x: Array,
    outputs: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For every offset in the kernel, the elements of x that the windows have there.

    Yields (offset, view [..., *outputs]); `outputs` are the numbers of windows on the last axes.
    """
    for offset in np.ndindex(*kernel):
        axes = zip(offset, outputs, stride, dilation, strict=True)
        where = [slice(o * r, o * r + (n - 1) * s + 1, s) for o, n, s, r in axes]
        yield offset, last_axes(x, where)


def last_axes(x: Array, index: Sequence[int | slice]) -> Array:
    """The array indexed on its last axes."""
    where: Any = (..., *index)
    return np.asarray(x[where])


def sums(x: Array, axes: int | tuple[int, ...], keepdims: bool = False) -> Array:
    """Sums over some axes, formed in float64 however long they are, in the type of x."""
    return np.asarray(x.sum(axes, np.float64, keepdims=keepdims).astype(x.dtype))


def means(x: Array, axes: int | tuple[int, ...], keepdims: bool = False) -> Array:
    """Means over some axes, formed in float64, in the type of x."""
    return np.asarray(x.mean(axes, np.float64, keepdims=keepdims).astype(x.dtype))


def per_channel(values: Array, x: Array) -> Array:
    """A vector [channels] in a form that broadcasts over [batch, channels, *spatial]."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
