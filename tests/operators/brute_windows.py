"""Convolution and pooling straight from their formulas, in plain Python loops.

Each takes the operator as the language makes it (not bound), the operands of one sample, and the
parameters by role. Nothing here uses the package's window arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from cnndsl.ir import operators as ops
from cnndsl.runtime.module import Array

Windows = list[list[int]]
"""For each window on one axis, the input position of each of its elements (may lie outside)."""


def axis_windows(n: int, k: int, s: int, r: int, pad: Any, ceil: bool = False) -> Windows:
    span = r * (k - 1) + 1
    before, after = sides(n, span, s, pad)
    starts = [0]
    assert span <= before + n + after
    while True:
        start = starts[-1] + s
        fits = start + span <= before + n + after
        uncovered = starts[-1] + span < before + n + after and start < before + n
        if not fits and not (ceil and uncovered):
            break
        starts.append(start)
    if ceil:
        starts = [start for start in starts if start < before + n] or starts
    return [[start - before + m * r for m in range(k)] for start in starts]


def sides(n: int, span: int, s: int, pad: Any) -> tuple[int, int]:
    if pad == "valid":
        return 0, 0
    if pad == "full":
        return span - 1, span - 1
    if pad == "same":
        return (span - 1) // 2, (span - 1) - (span - 1) // 2
    if pad in ("same_upper", "same_lower"):
        total = 0
        while (n + total - span) // s + 1 < -(-n // s):
            total += 1
        halves = total // 2, total - total // 2
        return halves if pad == "same_upper" else halves[::-1]
    before, after = pad
    return before, after


def on_axes(value: Any, rank: int) -> list[Any]:
    if isinstance(value, str):
        return [value] * rank
    return list(value) * rank if len(value) == 1 else list(value)


def windows(op: Any, spatial: tuple[int, ...], ceil: bool = False) -> list[Windows]:
    rank = len(spatial)
    kernel = on_axes(op.kernel, rank)
    stride = on_axes(op.stride or op.kernel, rank)
    dilation = on_axes(getattr(op, "dilation", (1,)), rank)
    axes = zip(spatial, kernel, stride, dilation, on_axes(op.pad, rank), strict=True)
    return [axis_windows(n, k, s, r, pad, ceil) for n, k, s, r, pad in axes]


def outputs(axes: list[Windows]) -> Iterator[tuple[tuple[int, ...], list[Any]]]:
    """Every output position with its window: a list of (offset, input position)."""
    for position in product(*(range(len(axis)) for axis in axes)):
        per_axis = [list(enumerate(axis[p])) for axis, p in zip(axes, position, strict=True)]
        yield position, [tuple(zip(*pairs, strict=True)) for pairs in product(*per_axis)]


def inside(position: tuple[int, ...], spatial: tuple[int, ...]) -> bool:
    return all(0 <= p < n for p, n in zip(position, spatial, strict=True))


def correlate(
    op: Any,
    x: Array,
    filters: int,
    bias: Callable[[int, tuple[int, ...]], float],
    weight: Callable[[int, tuple[int, ...], int, tuple[int, ...]], float],
) -> Array:
    """sum over c, offset of x[c, position] * weight(i, output position, c, offset)."""
    axes = windows(op, x.shape[1:])
    result = np.zeros((filters, *map(len, axes)))
    for i in range(filters):
        for at, window in outputs(axes):
            total = bias(i, at)
            for c, (offset, position) in product(range(len(x)), window):
                if inside(position, x.shape[1:]):
                    total += x[(c, *position)] * weight(i, at, c, offset)
            result[(i, *at)] = total
    return result


def conv(op: ops.Conv, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    w = params["weight"]
    shared = len(x) // op.groups

    def weight(i: int, at: tuple[int, ...], c: int, offset: tuple[int, ...]) -> float:
        if op.flip:
            offset = tuple(k - 1 - o for k, o in zip(w.shape[-len(offset) :], offset, strict=True))
        if op.table is not None:
            before = sum(len(row) for row in op.table[:i])
            return w[(before + op.table[i].index(c), *offset)] if c in op.table[i] else 0.0
        if c // shared != i // (op.filters // op.groups):
            return 0.0
        return w[(i, c % shared, *offset)]

    return correlate(op, x, op.filters, lambda i, at: bias_of(params, i), weight)


def depthwise(op: ops.Depthwise, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    w = params["weight"]

    def weight(i: int, at: tuple[int, ...], c: int, offset: tuple[int, ...]) -> float:
        return w[(i, 0, *offset)] if c == i // op.multiplier else 0.0

    return correlate(op, x, len(x) * op.multiplier, lambda i, at: bias_of(params, i), weight)


def local_conv(op: ops.LocalConv, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    w = params["weight"]
    shared = len(x) // op.groups

    def weight(i: int, at: tuple[int, ...], c: int, offset: tuple[int, ...]) -> float:
        if op.table is not None:
            before = sum(len(row) for row in op.table[:i])
            row = op.table[i]
            return w[(before + row.index(c), *at, *offset)] if c in row else 0.0
        if c // shared != i // (op.filters // op.groups):
            return 0.0
        return w[(i, *at, c % shared, *offset)]

    return correlate(op, x, op.filters, lambda i, at: bias_of(params, i, *at), weight)


def tiled_conv(op: ops.TiledConv, operands: list[Array], params: dict[str, Array]) -> Array:
    w, t = params["weight"], op.period
    return correlate(
        op,
        operands[0],
        op.filters,
        lambda i, at: bias_of(params, i, *(a % t for a in at)),
        lambda i, at, c, offset: w[(i, *(a % t for a in at), c, *offset)],
    )


def bias_of(params: dict[str, Array], *index: int) -> float:
    return params["bias"][index] if "bias" in params else 0.0


def conv_transpose(op: ops.ConvTranspose, operands: list[Array], params: dict[str, Array]) -> Array:
    """Scatters every input along the windows of the convolution that this is the gradient of."""
    (x,) = operands
    w = params["weight"]
    rank = x.ndim - 1
    kernel, stride = on_axes(op.kernel, rank), on_axes(op.stride, rank)
    dilation, extra = on_axes(op.dilation, rank), on_axes(op.output_pad, rank)
    axes, sizes = [], []
    for a, (n, pad) in enumerate(zip(x.shape[1:], on_axes(op.pad, rank), strict=True)):
        k, s, r = kernel[a], stride[a], dilation[a]
        if isinstance(pad, str) and pad.startswith("same"):
            size = n * s
        else:
            before, after = sides(n, r * (k - 1) + 1, s, pad)
            size = (n - 1) * s + r * (k - 1) + 1 - before - after + extra[a]
        axes.append(axis_windows(size, k, s, r, pad)[:n])
        sizes.append(size)
        assert len(axes[-1]) == n
    result = np.zeros((op.filters, *sizes))
    wide = op.filters // op.groups
    for i in range(op.filters):
        result[i] += bias_of(params, i)
        for at, window in outputs(axes):
            for c, (offset, position) in product(range(len(x)), window):
                if c // (len(x) // op.groups) == i // wide and inside(position, tuple(sizes)):
                    result[(i, *position)] += x[(c, *at)] * w[(c, i % wide, *offset)]
    return result


def pool(value: Callable[[Any, list[tuple[float, float]], int], float]) -> Callable[..., Array]:
    """A pooling operator from value(op, [(element, squared distance from centre)], clipped)."""

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        spatial = x.shape[1:]
        axes = windows(op, spatial, op.ceil)
        padded = [axis_padding(op, spatial, axis) for axis in range(len(spatial))]
        result = np.zeros((len(x), *map(len, axes)))
        kernel = on_axes(op.kernel, len(spatial))
        for c in range(len(x)):
            for at, window in outputs(axes):
                found = []
                clipped = 0
                for offset, position in window:
                    clipped += all(p in range(*padded[a]) for a, p in enumerate(position))
                    if inside(position, spatial):
                        centred = [o - (k - 1) / 2 for o, k in zip(offset, kernel, strict=True)]
                        found.append((x[(c, *position)], sum(d * d for d in centred)))
                result[(c, *at)] = value(op, found, clipped)
        return result

    return brute


def axis_padding(op: Any, spatial: tuple[int, ...], axis: int) -> tuple[int, int]:
    rank = len(spatial)
    n, k = spatial[axis], on_axes(op.kernel, rank)[axis]
    s, pad = on_axes(op.stride or op.kernel, rank)[axis], on_axes(op.pad, rank)[axis]
    before, after = sides(n, k, s, pad)
    return -before, n + after


def average(op: ops.AvgPool, found: list[tuple[float, float]], clipped: int) -> float:
    return sum(v for v, _ in found) / (clipped if op.include_pad else len(found))


def distance_average(op: Any, found: list[tuple[float, float]], clipped: int) -> float:
    weights = [math.exp(-d / (2 * op.sigma * op.sigma)) for _, d in found]
    return sum(w * v for w, (v, _) in zip(weights, found, strict=True)) / sum(weights)


def adaptive(value: Callable[[list[float]], float]) -> Callable[..., Array]:
    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        size = on_axes(op.size, x.ndim - 1) if hasattr(op, "size") else [1] * (x.ndim - 1)
        result = np.zeros((len(x), *size))
        for c, *at in np.ndindex(*result.shape):
            ranges = [
                range(math.floor(i * n / o), math.ceil((i + 1) * n / o))
                for i, n, o in zip(at, x.shape[1:], size, strict=True)
            ]
            result[(c, *at)] = value([x[(c, *p)] for p in product(*ranges)])
        return result if hasattr(op, "size") else result.reshape(-1)

    return brute
