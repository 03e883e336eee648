"""Pooling: one vector of channels at a time, windows clipped to the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import mul
from typing import Any, TypeGuard

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    LOWEST,
    Expr,
    all_of,
    as_float,
    cast,
    div,
    larger,
    load,
    maximum,
    minimum,
    negated,
    number,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import largest, nominal, parts, smallest
from cnndsl.backends.cpu.codegen.layout import Layout, Place
from cnndsl.backends.cpu.codegen.sums import Range, positions, summed
from cnndsl.backends.cpu.codegen.tir import Code, Register, Side, side
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import constant
from cnndsl.ir.expressions import Expression
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
from cnndsl.ir.types import FLOAT32, UINT8

Window = list[Range]
"""The positions of a window on each axis."""
WRITTEN_OUT = 16
"""Elements of the largest windows that are."""


def _pooling(
    call: Call[Any],
    window: Callable[[Code, Place], Window],
    combined: Callable[[Body, Place, Window], Expr],
    finish: Callable[[Expr, Place, Window], Expr] = lambda value, place, window: value,
    weights: Mapping[str, Expression] | None = None,
) -> Kernel:
    """The elements of a window without gaps combined into one."""

    def write(body: Body) -> None:
        def value(place: Place, sides: Window) -> Expr:
            return finish(combined(body, place, sides), place, sides)

        for place in body.vectors(_unclipped(call)):
            dtype = UINT8.name if call.x.is_codes else FLOAT32.name
            body.write(place, of_window(body, place, call, window, value, dtype))

    return Kernel("pooling", {**(weights or {}), **call.step_weights()}, write)


def of_window(
    body: Body,
    place: Place,
    call: Call[Any],
    window: Callable[[Code, Place], Window],
    value: Callable[[Place, Window], Expr],
    dtype: str = FLOAT32.name,
) -> Expr:
    """value(place, window), of a format; written out for small windows that the input holds whole.

    Their sizes are known, so LLVM needs no loops.
    """
    code, op, lanes = body.code, call.op, place.lanes(call.output)
    if not _is_written_out(op) or place.width > 1:
        return value(place, window(code, place))
    axes = zip(place.position, call.x.spatial, op.kernel, op.strides, op.pads, strict=True)
    whole, conditions = [], []
    for index, size, kernel, stride, (before, _) in axes:
        first = code.name(index * stride - before)
        whole.append(Range(first, kernel, kernel))
        conditions += [first >= 0, first + kernel <= size]
    is_whole = all_of(conditions)
    found = code.register(vector(cast(0, dtype, 1), lanes), lanes, dtype)
    with code.when(is_whole):
        code.set(found, value(place, whole))
    with code.when(negated(is_whole)):
        code.set(found, value(place, window(code, place)))
    return found.value


def _is_written_out(op: Any) -> TypeGuard[Pool]:
    """Whether windows are small and without gaps."""
    is_dense = max(getattr(op, "dilations", (1,))) == 1
    return isinstance(op, Pool) and is_dense and math.prod(op.kernel) <= WRITTEN_OUT


def _unclipped(call: Call[Any]) -> range | Side:
    """The columns of the output whose windows lie in the input and at equal distances."""
    op = call.op
    if not isinstance(op, Pool) or not call.output.rank:
        return range(0)
    reach = (op.kernel[-1] - 1) * getattr(op, "dilations", (1,))[-1]
    before, stride, columns = op.pads[-1][0], op.strides[-1], call.output.spatial[-1]
    end = largest(call.x.spatial[-1] - 1 - reach + before + stride, 0) // stride
    first = smallest(-(-before // stride), columns)
    return side(first, largest(first, smallest(end, columns)))


def _read(body: Body, place: Place, position: tuple[Expr, ...]) -> Expr:
    """The operand at one position of the windows of a place."""
    step = body.call.op.strides[-1] if place.width > 1 else 1
    return body.read(replace(place, position=position, step=step))


def _largest(body: Body, place: Place, sides: Window) -> Expr:
    code, lanes = body.code, place.lanes(body.call.output)
    found = _least(body, lanes)
    with positions(code, sides) as position:
        _take_larger(body, found, _read(body, place, position), lanes)
    return found.value


def _least(body: Body, lanes: int) -> Register:
    """A register where the search for the largest numbers starts."""
    if not body.call.x.is_codes:
        return body.code.register(vector(LOWEST, lanes), lanes)
    return body.code.register(vector(tirx.const(0, "uint8"), lanes), lanes, "uint8")


def _take_larger(body: Body, found: Register, value: Expr, lanes: int) -> None:
    """Keep what is larger than what has been found."""
    if body.call.x.is_codes:
        body.code.set(found, tirx.max(value, found.value))
    else:
        body.code.set(found, larger(value, found.value, lanes))


def _sum(body: Body, place: Place, sides: Window) -> Expr:
    return _sum_of(lambda value: value)(body, place, sides)


def _sum_of(function: Callable[[Expr], Expr]) -> Callable[[Body, Place, Window], Expr]:
    """The sum of a function of the elements."""

    def combined(body: Body, place: Place, sides: Window) -> Expr:
        lanes = place.lanes(body.call.output)

        def term(position: tuple[Expr, ...]) -> Expr:
            return function(_read(body, place, position))

        return summed(body.code, lanes, sides, term)

    return combined


def _clipped(op: Pool, x: Layout) -> Callable[[Code, Place], Window]:
    """The part of a window that lies in the input; all of the windows of several columns do."""

    def window(code: Code, place: Place) -> Window:
        sides: Window = []
        axes = zip(place.position, x.spatial, op.kernel, op.strides, op.pads, strict=True)
        for axis, (index, size, kernel, stride, (before, _)) in enumerate(axes):
            low = index * stride - before
            if place.width > 1 and axis == x.rank - 1:
                sides.append(Range(code.name(low), kernel, kernel))
                continue
            first = code.name(maximum(low, 0))
            count = code.name(minimum(low + kernel, size) - first)
            sides.append(Range(first, count, min(kernel, nominal(size))))
        return sides

    return window


def maxpool(call: Call[MaxPool]) -> Kernel:
    """Largest element of each window."""
    op = call.op
    if any(d > 1 for d in op.dilations):
        return _dilated_maxpool(call, op)
    return _pooling(call, _clipped(op, call.x), _largest)


def _dilated_maxpool(call: Call[Any], op: MaxPool) -> Kernel:
    """Windows with gaps: each position is tested."""

    def write(body: Body) -> None:
        code = body.code
        for place in body.vectors(_unclipped(call)):
            lanes = place.lanes(call.output)
            total = _least(body, lanes)
            with code.box([range(k) for k in op.kernel]) as offsets:
                axes = zip(place.position, offsets, op.strides, op.dilations, op.pads, strict=True)
                position = tuple(
                    code.name(i * s + o * d - before) for i, o, s, d, (before, _) in axes
                )
                inside = zip(position, call.x.spatial, strict=True)
                with code.when(all_of([c for p, n in inside for c in (p >= 0, p < n)])):
                    _take_larger(body, total, _read(body, place, position), lanes)
            body.write(place, total.value)

    return Kernel("pooling", call.step_weights(), write)


def avgpool(call: Call[AvgPool]) -> Kernel:
    """Mean of each window: of its elements in the input, or in the padded input."""
    op = call.op

    def finish(value: Expr, place: Place, sides: Window) -> Expr:
        lanes = place.lanes(call.output)
        return value * vector(number(1.0) / as_float(counted(call, place, sides)), lanes)

    return _pooling(call, _clipped(op, call.x), _sum, finish)


def counted(call: Call[Any], place: Place, sides: Window) -> Expr:
    """How many elements the window of a place has that is a mean: in the input, or the padded one.

    `sides` is the window.
    """
    op = call.op
    counts = [side.count for side in sides]
    if isinstance(op, AvgPool) and op.include_pad:
        axes = zip(place.position, call.x.spatial, op.kernel, op.strides, op.pads, strict=True)
        counts = [
            minimum(i * s - before + k, n + after) - (i * s - before)
            for i, n, k, s, (before, after) in axes
        ]
    return math.prod(counts)


def most_counted(call: Call[Any]) -> int:
    """As many as any window has."""
    if isinstance(call.op, AvgPool):
        return math.prod(call.op.kernel)
    axes = zip(call.x.spatial, call.output.spatial or (1,) * call.x.rank, strict=True)
    return math.prod(min(size, -(-size // outputs) + 1) for size, outputs in axes)


def window_of(call: Call[Any]) -> Callable[[Code, Place], Window]:
    """The windows of a pool without gaps."""
    op = call.op
    if isinstance(op, Pool):
        return _clipped(op, call.x)
    return _adaptive(call) if isinstance(op, AdaptiveAvgPool) else _whole(call)


def l2pool(call: Call[L2Pool]) -> Kernel:
    """Euclidean norm of each window."""
    op = call.op
    squares = _sum_of(lambda value: value * value)
    return _pooling(
        call, _clipped(op, call.x), squares, lambda value, place, sides: tirx.sqrt(value)
    )


def distance_avgpool(call: Call[DistanceAvgPool]) -> Kernel:
    """Mean weighted by a Gaussian of the distance from the window's centre.

    The weight is a product of one for each axis, and so is the sum of the weights of a box.
    """
    op = call.op
    gaussian = {
        f"gaussian{axis}": constant([_bell(o - (k - 1) / 2, op.sigma) for o in range(k)])
        for axis, k in enumerate(op.kernel)
    }

    def weight(body: Body, place: Place, axis: int, position: Expr) -> Expr:
        start = place.position[axis] * op.strides[axis] - op.pads[axis][0]
        return load(body.weights[f"gaussian{axis}"], position - start)

    def mean(body: Body, place: Place, sides: Window) -> Expr:
        lanes = place.lanes(call.output)

        def factor(axis: int, side: Range) -> Expr:
            return summed(body.code, 1, [side], lambda at: weight(body, place, axis, at[0]))

        factors = [factor(axis, side) for axis, side in enumerate(sides)]

        def term(position: tuple[Expr, ...]) -> Expr:
            weights = [weight(body, place, axis, index) for axis, index in enumerate(position)]
            value = _read(body, place, position)
            return value * vector(reduce(mul, weights), lanes)

        return summed(body.code, lanes, sides, term) / vector(reduce(mul, factors), lanes)

    return _pooling(call, _clipped(op, call.x), mean, weights=gaussian)


def _bell(distance: float, sigma: float) -> float:
    return math.exp(-(distance**2) / (2 * sigma**2))


def _whole(call: Call[Any]) -> Callable[[Code, Place], Window]:
    return lambda code, place: [Range.whole(size) for size in call.x.spatial]


def global_avgpool(call: Call[Any]) -> Kernel:
    """Mean of each map."""
    lanes = call.output.block

    def finish(value: Expr, *_: Any) -> Expr:
        return value * vector(number(1.0) / as_float(math.prod(call.x.spatial)), lanes)

    return _pooling(call, _whole(call), _sum, finish)


def global_maxpool(call: Call[Any]) -> Kernel:
    """Largest element of each map."""
    return _pooling(call, _whole(call), _largest)


def _adaptive(call: Call[Any]) -> Callable[[Code, Place], Window]:
    """Window i of n elements and o outputs: floor(i*n/o) up to ceil((i+1)*n/o)."""

    def window(code: Code, place: Place) -> Window:
        sides: Window = []
        axes = zip(place.position, call.x.spatial, call.output.spatial, strict=True)
        for index, size, outputs in axes:
            first = code.name(div(index * size, outputs))
            end = div((index + 1) * size + outputs - 1, outputs)
            most = smallest(size, parts(size, outputs) + 1)
            sides.append(Range(first, code.name(end - first), Range.whole(most).most))
        return sides

    return window


def adaptive_avgpool(call: Call[Any]) -> Kernel:
    """Mean of each adaptive window."""
    lanes = call.output.block

    def finish(value: Expr, place: Place, sides: Window) -> Expr:
        return value / vector(as_float(counted(call, place, sides)), lanes)

    return _pooling(call, _adaptive(call), _sum, finish)


def adaptive_maxpool(call: Call[Any]) -> Kernel:
    """Largest element of each adaptive window."""
    return _pooling(call, _adaptive(call), _largest)


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
