"""Means of windows of codes."""

from __future__ import annotations

import math

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import positions
from cnndsl.backends.cpu.kernels.codes.operators import Coded
from cnndsl.backends.cpu.kernels.codes.store import limits, stored, zeros
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.pooling import (
    Window,
    counted,
    most_counted,
    of_window,
    window_of,
)
from cnndsl.ir.algebra import constant
from cnndsl.ir.operators import GlobalAvgPool


def mean(call: Call[Coded]) -> Kernel:
    """The sum of each window, in whole numbers, times the factor for its number of elements."""
    op = call.op.quantised
    plain = call.with_core(op.op)
    whole = isinstance(op.op, GlobalAvgPool)
    counts = [math.prod(call.x.spatial)] if whole else range(1, most_counted(plain) + 1)
    weights = {
        "factors": constant([op.mean_factor(count) for count in counts]),
        **limits(op),
        **zeros(op),
    }

    def write(body: Body) -> None:
        body = body.computing(plain)

        def steps(place: Place, sides: Window) -> Expr:
            lanes = place.lanes(plain.output)
            index = 0 if whole else counted(plain, place, sides) - 1
            factor = vector(load(body.weights["factors"], index), lanes)
            return _sum(body, place, sides, lanes) * factor

        for place in body.vectors():
            found = of_window(body, place, plain, window_of(plain), steps)
            lanes = place.lanes(plain.output)
            body.output.store(body.code, place, stored(body, found, lanes))

    return Kernel("codes", weights, write)


def _sum(body: Body, place: Place, sides: Window, lanes: int) -> Expr:
    """That of the centred codes, as float32."""
    code = body.code
    zero = vector(cast(0, "int32", 1), lanes)
    total = code.register(zero, lanes, "int32")
    with positions(code, sides) as position:
        value = body.inputs[0].load(Place(place.n, place.block, position))
        code.set(total, total.value + cast(value, "int32", lanes))
    count: Expr = 1
    for side in sides:
        count = count * side.count
    centre = cast(load(body.weights["zeros"], 0), "int32", 1) * count
    return cast(total.value - vector(centre, lanes), "float32", lanes)
