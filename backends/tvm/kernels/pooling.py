"""Pooling: one vector of channels at a time, windows clipped to the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.expressions import LOWEST, Expr, all_of, div, larger, number, vector
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.family import Makers
from cnndsl.backends.tvm.layout import Layout, Place
from cnndsl.backends.tvm.tir import Code, Register
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
)
from cnndsl.ir.operators.pooling import Pool

Window = list[tuple[Expr, Expr]]
"""For each axis where a window starts and how many positions it has."""


def _sum(code: Code, total: Register, value: Expr) -> None:
    code.set(total, total.value + value)


def _max(code: Code, total: Register, value: Expr) -> None:
    code.set(total, larger(value, total.value, total.lanes))


def _sum_of_squares(code: Code, total: Register, value: Expr) -> None:
    code.set(total, total.value + value * value)


def _pooling(
    call: Call[Any],
    window: Callable[[Code, Place], Window],
    combine: Callable[[Code, Register, Expr], None],
    finish: Callable[[Expr, Place, Window], Expr] = lambda value, place, window: value,
    start: float = 0.0,
) -> Kernel:
    """The elements of a window without gaps combined into one."""
    lanes = call.output.block

    def write(body: Body) -> None:
        code = body.code
        with body.vectors() as place:
            total = code.register(vector(start, lanes), lanes)
            sides = window(code, place)
            with _positions(code, sides) as position:
                combine(code, total, body.read(Place(place.n, place.block, position)))
            body.write(place, finish(total.value, place, sides))

    return Kernel("pooling", call.step_weights(), write)


@contextmanager
def _positions(code: Code, window: Window) -> Iterator[tuple[Expr, ...]]:
    if not window:
        yield ()
        return
    (first, count), *rest = window
    with code.loop(count) as offset, _positions(code, rest) as inner:
        yield (code.name(first + offset), *inner)


def _clipped(op: Pool, x: Layout) -> Callable[[Code, Place], Window]:
    """The part of a window that lies in the input."""

    def window(code: Code, place: Place) -> Window:
        sides: Window = []
        axes = zip(place.position, x.spatial, op.kernel, op.strides, op.pads, strict=True)
        for index, size, kernel, stride, (before, _) in axes:
            low = index * stride - before
            first = code.name(_largest(low, 0))
            sides.append((first, code.name(_smallest(low + kernel, size) - first)))
        return sides

    return window


def _largest(a: Expr, b: int) -> Expr:
    return max(a, b) if isinstance(a, int) else tirx.max(a, b)


def _smallest(a: Expr, b: int) -> Expr:
    return min(a, b) if isinstance(a, int) else tirx.min(a, b)


def maxpool(call: Call[MaxPool]) -> Kernel:
    """Largest element of each window."""
    op = call.op
    if any(d > 1 for d in op.dilations):
        return _dilated_maxpool(call, op)
    return _pooling(call, _clipped(op, call.x), _max, start=LOWEST)


def _dilated_maxpool(call: Call[Any], op: MaxPool) -> Kernel:
    """Windows with gaps: each position is tested."""
    lanes = call.output.block

    def write(body: Body) -> None:
        code = body.code
        with body.vectors() as place:
            total = code.register(vector(LOWEST, lanes), lanes)
            with code.box([range(k) for k in op.kernel]) as offsets:
                axes = zip(place.position, offsets, op.strides, op.dilations, op.pads, strict=True)
                position = tuple(
                    code.name(i * s + o * d - before) for i, o, s, d, (before, _) in axes
                )
                inside = zip(position, call.x.spatial, strict=True)
                with code.when(all_of([c for p, n in inside for c in (p >= 0, p < n)])):
                    _max(code, total, body.read(Place(place.n, place.block, position)))
            body.write(place, total.value)

    return Kernel("pooling", call.step_weights(), write)


def avgpool(call: Call[AvgPool]) -> Kernel:
    """Mean of each window: of its elements in the input, or in the padded input."""
    op = call.op
    lanes = call.output.block

    def finish(value: Expr, place: Place, sides: Window) -> Expr:
        counts = [count for _, count in sides]
        if op.include_pad:
            axes = zip(place.position, call.x.spatial, op.kernel, op.strides, op.pads, strict=True)
            counts = [
                _smallest(i * s - before + k, n + after) - (i * s - before)
                for i, n, k, s, (before, after) in axes
            ]
        return value * vector(number(1.0) / _as_float(counts), lanes)

    return _pooling(call, _clipped(op, call.x), _sum, finish)


def _as_float(counts: list[Expr]) -> Expr:
    product: Expr = 1
    for count in counts:
        product = product * count
    return number(product) if isinstance(product, int) else product.astype("float32")


def l2pool(call: Call[L2Pool]) -> Kernel:
    """Euclidean norm of each window."""
    op = call.op
    return _pooling(
        call, _clipped(op, call.x), _sum_of_squares, lambda value, place, sides: tirx.sqrt(value)
    )


def distance_avgpool(call: Call[DistanceAvgPool]) -> Kernel:
    """Mean weighted by a Gaussian of the distance from the window's centre."""
    op = call.op
    lanes = call.output.block
    centre = [(k - 1) / 2 for k in op.kernel]

    def write(body: Body) -> None:
        code = body.code
        with body.vectors() as place:
            total = code.register(vector(0.0, lanes), lanes)
            weights = code.register(number(0.0))
            for offset in _offsets(op.kernel):
                squares = sum((o - c) ** 2 for o, c in zip(offset, centre, strict=True))
                weight = math.exp(-squares / (2 * op.sigma**2))
                axes = zip(place.position, offset, op.strides, op.pads, strict=True)
                position = tuple(code.name(i * s + o - before) for i, o, s, (before, _) in axes)
                inside = zip(position, call.x.spatial, strict=True)
                with code.when(all_of([c for p, n in inside for c in (p >= 0, p < n)])):
                    value = body.read(Place(place.n, place.block, position))
                    code.set(total, total.value + value * vector(weight, lanes))
                    code.set(weights, weights.value + number(weight))
            body.write(place, total.value / vector(weights.value, lanes))

    return Kernel("pooling", call.step_weights(), write)


def _offsets(kernel: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not kernel:
        yield ()
        return
    for first in range(kernel[0]):
        for rest in _offsets(kernel[1:]):
            yield (first, *rest)


def _whole(call: Call[Any]) -> Callable[[Code, Place], Window]:
    return lambda code, place: [(0, size) for size in call.x.spatial]


def global_avgpool(call: Call[Any]) -> Kernel:
    """Mean of each map."""
    factor = 1 / math.prod(call.x.spatial)
    lanes = call.output.block
    return _pooling(call, _whole(call), _sum, lambda value, *_: value * vector(factor, lanes))


def global_maxpool(call: Call[Any]) -> Kernel:
    """Largest element of each map."""
    return _pooling(call, _whole(call), _max, start=LOWEST)


def _adaptive(call: Call[Any]) -> Callable[[Code, Place], Window]:
    """Window i of n elements and o outputs: floor(i*n/o) up to ceil((i+1)*n/o)."""

    def window(code: Code, place: Place) -> Window:
        sides: Window = []
        axes = zip(place.position, call.x.spatial, call.output.spatial, strict=True)
        for index, size, outputs in axes:
            first = code.name(div(index * size, outputs))
            end = div((index + 1) * size + outputs - 1, outputs)
            sides.append((first, code.name(end - first)))
        return sides

    return window


def adaptive_avgpool(call: Call[Any]) -> Kernel:
    """Mean of each adaptive window."""
    lanes = call.output.block

    def finish(value: Expr, place: Place, sides: Window) -> Expr:
        return value / vector(_as_float([count for _, count in sides]), lanes)

    return _pooling(call, _adaptive(call), _sum, finish)


def adaptive_maxpool(call: Call[Any]) -> Kernel:
    """Largest element of each adaptive window."""
    return _pooling(call, _adaptive(call), _max, start=LOWEST)


FAMILIES: Makers = {
    MaxPool: maxpool,
    AvgPool: avgpool,
    L2Pool: l2pool,
    DistanceAvgPool: distance_avgpool,
    GlobalAvgPool: global_avgpool,
    GlobalMaxPool: global_maxpool,
    AdaptiveAvgPool: adaptive_avgpool,
    AdaptiveMaxPool: adaptive_maxpool,
}
