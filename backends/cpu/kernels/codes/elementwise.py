"""Element by element on codes: sums, products, maps of channels, other scales, tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add, mul
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.codes.operators import Coded, Decode
from cnndsl.backends.cpu.kernels.codes.store import (
    all_codes,
    centred,
    clipped,
    limits,
    rounded,
    stored,
    zeros,
)
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.native.packing import Weight
from cnndsl.ir.algebra import constant, pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Max, Meaning, Min
from cnndsl.ir.types import UINT8

FAMILY = "codes"
Values = Callable[[Body, Place, list[Expr]], Expr]
"""Numbers in steps of the result, of a body, a place, the centred codes there."""


def decode(call: Call[Decode]) -> Kernel:
    """What codes stand for."""
    source = call.op.source
    weights = {"scale": constant([source.scale]), "zeros": constant([source.zero])}

    def write(body: Body) -> None:
        for place in body.vectors():
            lanes = place.lanes(body.call.output)
            value = centred(body, body.inputs[0].load(place), 0, lanes)
            scale = vector(load(body.weights["scale"], 0), lanes)
            body.output.store(body.code, place, value * scale)

    return Kernel(FAMILY, weights, write)


def elementwise(call: Call[Coded]) -> Kernel:
    """Sums, products, maps, and what only compares or rescales."""
    op = call.op.quantised
    own, values = _KINDS[op.meaning](call)

    def write(body: Body) -> None:
        for place in body.vectors():
            lanes = place.lanes(body.call.output)
            given = [
                centred(body, body.repeated(x, place), index, lanes)
                for index, x in enumerate(body.inputs)
            ]
            steps = values(body, place, given)
            body.output.store(body.code, place, stored(body, steps, lanes))

    return Kernel(FAMILY, {**limits(op), **zeros(op), **own}, write)


def _factor(body: Body, index: int, lanes: int) -> Expr:
    return vector(load(body.weights["factors"], index), lanes)


def _sum(call: Call[Coded]) -> tuple[Mapping[str, Expression], Values]:
    """From left to right; all products are exact."""

    def values(body: Body, place: Place, given: list[Expr]) -> Expr:
        lanes = place.lanes(body.call.output)
        return reduce(add, [x * _factor(body, i, lanes) for i, x in enumerate(given)])

    return {"factors": constant(list(call.op.quantised.factors))}, values


def _product(call: Call[Coded]) -> tuple[Mapping[str, Expression], Values]:
    def values(body: Body, place: Place, given: list[Expr]) -> Expr:
        return reduce(mul, given) * _factor(body, 0, place.lanes(body.call.output))

    return {"factors": constant(list(call.op.quantised.factors))}, values


def _map(call: Call[Coded]) -> tuple[Mapping[str, Expression], Values]:
    y, params = call.output, call.core.params
    missing = ((0, y.blocks * y.block - y.channels),)
    roles = {role: pad(params[role], missing) for role in ("weight", "bias") if role in params}

    def values(body: Body, place: Place, given: list[Expr]) -> Expr:
        lanes = place.lanes(body.call.output)

        def parameter(role: str) -> Expr:
            return load(body.weights[role], place.block * body.call.output.block, lanes)

        steps = given[0] * parameter("weight")
        return steps + parameter("bias") if "bias" in roles else steps

    return roles, values


def _move(call: Call[Coded]) -> tuple[Mapping[str, Expression], Values]:
    """Operands in the scale of the result, of which the largest or least is taken, if of several.

    A single one is clipped when it is stored: first to all codes, of which the limits are some.
    """
    op = call.op.quantised
    factors = op.rescaling
    own = {"factors": constant([factor or 1.0 for factor in factors]), **all_codes(call.op.result)}
    chosen: dict[type[Operator], Callable[[Expr, Expr], Expr]] = {Max: tirx.max, Min: tirx.min}
    choose = chosen.get(type(op.op))

    def values(body: Body, place: Place, given: list[Expr]) -> Expr:
        lanes = place.lanes(body.call.output)

        def rescaled(index: int, x: Expr) -> Expr:
            if factors[index] is None:
                return x
            steps = x * _factor(body, index, lanes)
            if choose is None:
                return steps
            return rounded(clipped(body, steps, lanes, "range"), lanes)

        found = [rescaled(index, x) for index, x in enumerate(given)]
        return found[0] if choose is None else reduce(choose, found)

    return own, values


def table(call: Call[Coded]) -> Kernel:
    """Codes looked up one by one."""
    found = constant(call.op.quantised.table.tolist())

    def write(body: Body) -> None:
        code, x = body.code, body.inputs[0]
        for place in body.vectors():
            with code.loop(place.lanes(body.call.output)) as lane:
                one = replace(place, lane=lane)
                index = cast(x.load(one), "int32", 1)
                body.output.store(code, one, load(body.weights["table"], index))

    return Kernel(FAMILY, {"table": Weight(found, UINT8)}, write)


_KINDS: dict[Meaning, Callable[[Call[Any]], tuple[Mapping[str, Expression], Values]]] = {
    Meaning.SUM: _sum,
    Meaning.PRODUCT: _product,
    Meaning.MAP: _map,
    Meaning.MOVE: _move,
}
