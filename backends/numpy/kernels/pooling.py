"""Pooling over windows, whole maps, and adaptive windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import reduce

import numpy as np

from cnndsl.backends.numpy.kernels.types import (
    Kernel,
    last_axes,
    means,
    output_shape,
    padded,
    sums,
    taps,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
    MaxPoolGradient,
)
from cnndsl.ir.operators.pooling import AdaptivePool, GlobalPool, Pool
from cnndsl.ir.windows import Pads, extent
from cnndsl.runtime.module import Array


def maxpool(op: MaxPool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Largest element of each window; padding is minus infinity."""
    (x,) = inputs
    outputs = output_shape(op, x)[1:]
    filled = padded(padded(x, op.pads, -np.inf), _overhang(op, x), -np.inf)
    return reduce(np.maximum, (tap for _, tap in _windows(op, filled, outputs)))


def maxpool_gradient(op: MaxPoolGradient, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Every number to the first of the largest elements, or NaN, of its window."""
    x, g = inputs
    pool, largest = op.op, maxpool(op.op, [x], {})
    filled = padded(padded(x, pool.pads, -np.inf), _overhang(pool, x), -np.inf)
    result, waiting = np.zeros_like(filled), np.ones(g.shape, bool)
    targets = _windows(pool, result, g.shape[2:])
    for (_, tap), (_, target) in zip(_windows(pool, filled, g.shape[2:]), targets, strict=True):
        here = waiting & ((tap == largest) | np.isnan(tap))
        target += np.where(here, g, 0)
        waiting &= ~here
    inside = [slice(b, b + n) for n, (b, _) in zip(x.shape[2:], pool.pads, strict=True)]
    return last_axes(result, inside)


def avgpool(op: AvgPool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Sum of each window over the number of its elements that count."""
    return _window_sum(op, inputs[0]) / _counted(op, inputs[0])


def _counted(op: AvgPool, x: Array) -> Array:
    """How many elements of each window count, [1, 1, *positions]."""
    return _window_sum(op, x, padded(np.ones_like(x[:1, :1]), op.pads, float(op.include_pad)))


def l2pool(op: L2Pool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Square root of the sum of squares of each window."""
    return np.sqrt(_window_sum(op, np.square(inputs[0])))


def distance_avgpool(op: DistanceAvgPool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Weighted sum of each window over the sum of the weights that lie in the input."""
    (x,) = inputs

    def gauss(offset: tuple[int, ...]) -> float:
        centred = (o - (k - 1) / 2 for o, k in zip(offset, op.kernel, strict=True))
        return math.exp(-sum(d * d for d in centred) / (2 * op.sigma**2))

    inside = padded(np.ones_like(x[:1, :1]), op.pads)
    return _window_sum(op, x, weight=gauss) / _window_sum(op, x, inside, weight=gauss)


def _window_sum(
    op: Pool,
    x: Array,
    filled: Array | None = None,
    weight: Callable[[tuple[int, ...]], float] = lambda offset: 1.0,
) -> Array:
    """Weighted sums of the windows of x, or of `filled`: an array in place of the padded x.

    They are formed in float64, in the type of x.
    """
    outputs = output_shape(op, x)[1:]
    filled = padded(padded(x, op.pads) if filled is None else filled, _overhang(op, x))
    exact = filled.astype(np.float64)
    terms = (weight(offset) * tap for offset, tap in _windows(op, exact, outputs))
    return np.asarray(reduce(np.add, terms).astype(x.dtype))


def _windows(
    op: Pool, filled: Array, outputs: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Array]]:
    return taps(filled, outputs, op.kernel, op.strides, op.dilations)


def _overhang(op: Pool, x: Array) -> Pads:
    """How far ceil-mode windows reach beyond the padded input."""
    outputs = output_shape(op, x)[1:]
    axes = zip(x.shape[2:], outputs, op.kernel, op.strides, op.dilations, op.pads, strict=True)
    return tuple(
        (0, max(0, (o - 1) * s + extent(k, r) - (n + before + after)))
        for n, o, k, s, r, (before, after) in axes
    )


def global_avgpool(op: GlobalPool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Mean over all positions."""
    (x,) = inputs
    return means(x, tuple(range(2, x.ndim)))


def global_maxpool(op: GlobalPool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum over all positions."""
    (x,) = inputs
    return np.asarray(x.max(tuple(range(2, x.ndim))))


def adaptive_avgpool(op: AdaptivePool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Mean of each adaptive window: windows are boxes, so one axis after another."""
    return _adaptive(op, inputs[0], np.mean, np.float64)


def adaptive_maxpool(op: AdaptivePool, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum of each adaptive window, one axis after another."""
    return _adaptive(op, inputs[0], np.max)


def _adaptive(
    op: AdaptivePool, x: Array, reduction: Callable[..., Array], exact: type | None = None
) -> Array:
    """The windows' reductions, formed in the type `exact`, in the type of x."""
    dtype = x.dtype
    x = x.astype(exact or dtype)
    for axis, outputs in enumerate(op.size, start=2):
        bounds = [op.window(i, x.shape[axis], outputs) for i in range(outputs)]
        parts = [reduction(x.take(range(*b), axis), axis=axis) for b in bounds]
        x = np.stack(parts, axis)
    return x.astype(dtype)


def window_sums(op: Operator, x: Array) -> Array:
    """The sums of the windows of a pool of means, in the type of x."""
    match op:
        case AvgPool():
            return _window_sum(op, x)
        case AdaptivePool():
            return _adaptive(op, x, np.sum, np.float64)
    return sums(x, tuple(range(2, x.ndim)))


def window_counts(op: Operator, x: Array) -> Array:
    """How many elements each of the windows has whose mean a pool gives, to broadcast to them."""
    match op:
        case AvgPool():
            return _counted(op, x)
        case AdaptivePool():
            return _adaptive(op, np.ones_like(x[:1, :1]), np.sum)
    return np.full((1, 1), math.prod(x.shape[2:]))


KERNELS: dict[type[Operator], Kernel] = {
    MaxPool: maxpool,
    MaxPoolGradient: maxpool_gradient,
    AvgPool: avgpool,
    L2Pool: l2pool,
    DistanceAvgPool: distance_avgpool,
    GlobalAvgPool: global_avgpool,
    GlobalMaxPool: global_maxpool,
    AdaptiveAvgPool: adaptive_avgpool,
    AdaptiveMaxPool: adaptive_maxpool,
}
