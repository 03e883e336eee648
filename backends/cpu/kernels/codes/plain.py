"""Linear layers on codes as plain loops: what serves where no faster form does."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, all_of, cast, div, load
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.tir import Register
from cnndsl.backends.cpu.kernels.codes.operators import Coded
from cnndsl.backends.cpu.kernels.codes.store import limits, stored, zeros
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.plain import elements, flat, window
from cnndsl.backends.native.packing import INT8, INT32, Weight
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.operators import Conv


def linear(call: Call[Coded]) -> Kernel:
    """Sums of products of centred codes, which padding adds nothing to."""
    op, params = call.op.quantised, call.core.params
    plain: Call[Any] = call.with_core(op.op)
    weight = dense_weight(plain) if isinstance(op.op, Conv) else call.weight
    weights = {
        "weight": Weight(weight, INT8),
        "bias": Weight(params["bias"], INT32),
        "multiplier": params["multiplier"],
        **zeros(op),
        **({} if op.result is None else limits(op)),
    }

    def write(body: Body) -> None:
        body = body.computing(plain)
        code = body.code
        with body.scalars() as (place, channel):
            total = code.register(load(body.weights["bias"], channel), 1, "int32")
            add = _add_window if isinstance(op.op, Conv) else _add_all
            add(body, place, channel, total)
            factor = load(body.weights["multiplier"], channel)
            steps = cast(total.value, "float32", 1) * factor
            result = steps if op.result is None else stored(body, steps, 1)
            body.output.store(code, place, result)

    return Kernel("plain", weights, write)


def _add_window(body: Body, place: Place, channel: Expr, total: Register) -> None:
    code, call = body.code, body.call
    op, x = call.op, call.x
    inner, filters = x.channels // op.groups, op.filters // op.groups
    first = code.name(div(channel, filters) * inner)
    with code.loop(inner) as c, code.box([range(k) for k in op.kernel]) as offsets:
        position = window(code, place, offsets, op.stride, op.dilation, op.pads)
        index = flat((channel, c, *offsets), (op.filters, inner, *op.kernel))
        inside = zip(position, x.spatial, strict=True)
        with code.when(all_of([side for p, n in inside for side in (p >= 0, p < n)])):
            _add(body, total, body.inputs[0].channel(place.n, first + c, position), index)


def _add_all(body: Body, place: Place, channel: Expr, total: Register) -> None:
    x = body.call.x
    count = x.channels
    for size in x.spatial:
        count *= size
    with elements(body, body.call) as (c, position, element):
        value = body.inputs[0].channel(place.n, c, position)
        _add(body, total, value, channel * count + element)


def _add(body: Body, total: Register, codes: Expr, weight: Expr) -> None:
    """total += (code - zero) * weight."""
    zero = cast(load(body.weights["zeros"], 0), "int32", 1)
    factor = cast(load(body.weights["weight"], weight), "int32", 1)
    body.code.set(total, total.value + (tirx.Cast("int32", codes) - zero) * factor)
