"""Operators that combine the channels of one position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import add
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    LOWEST,
    Expr,
    exponential,
    larger,
    number,
    shuffled,
    vector,
)
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Range, Total, summed
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import ChannelMax, LocalResponseNorm, Maxout, Softmax


def maxout(call: Call[Maxout]) -> Kernel:
    """Largest of each run of channels."""
    op = call.op

    def write(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            values = [
                x.channel(place.n, channel * op.pieces + j, place.position)
                for j in range(op.pieces)
            ]
            body.write(place, _largest(values))

    return Kernel("channels", call.step_weights(), write)


def _largest(values: list[Expr]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = larger(value, result, 1)
    return result


def channel_max(call: Call[Any]) -> Kernel:
    """Largest channel at each position."""

    def write(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, _):
            result = code.register(number(LOWEST))
            with code.loop(x.layout.channels) as c:
                value = x.channel(place.n, c, place.position)
                code.set(result, larger(value, result.value, 1))
            body.write(place, result.value)

    return Kernel("channels", call.step_weights(), write)


def softmax(call: Call[Any]) -> Kernel:
    """Over the channels, shifted by their maximum against overflow."""
    layout, lanes = call.output, call.output.block
    write = _softmax_vectors if call.x.block == lanes > 1 else _softmax_scalars

    def write_all(body: Body) -> None:
        write(body)
        with body.code.parallel(layout.batch, layout.blocks) as (n, block):
            body.clear_halo(n, block, [])

    return Kernel("channels", call.step_weights(), write_all)


def _softmax_vectors(body: Body) -> None:
    (x,), y, code = body.inputs, body.output, body.code
    lanes, blocks = y.layout.block, y.layout.blocks
    whole, rest = divmod(y.layout.channels, lanes)
    unused = tirx.Ramp(0, 1, lanes) >= tirx.Broadcast(tirx.const(rest, "int32"), lanes)

    def kept(value: Expr, other: float, last: bool) -> Expr:
        """The value, but in the last block another one where there is no channel."""
        return tirx.Select(unused, vector(other, lanes), value) if last else value

    with code.parallel(y.layout.batch, *y.layout.spatial) as (n, *position):
        largest = code.register(vector(LOWEST, lanes), lanes)
        total = Total(code, lanes)

        def compare(block: Expr, last: bool) -> None:
            value = kept(x.load(Place(n, block, tuple(position))), LOWEST, last)
            code.set(largest, larger(value, largest.value, lanes))

        def add_up(block: Expr, last: bool) -> None:
            place = Place(n, block, tuple(position))
            power = code.register(exponential(x.load(place) - largest.value, lanes), lanes)
            y.store(code, place, power.value)
            total.add(kept(power.value, 0.0, last))

        def each_block(step: Callable[[Expr, bool], None]) -> None:
            with code.loop(whole) as block:
                step(block, False)
            if rest:
                step(whole, True)

        each_block(compare)
        _across_lanes(code, largest, partial(larger, lanes=lanes))
        each_block(add_up)
        sums = code.register(total.value, lanes)
        _across_lanes(code, sums, add)
        factor = code.register(vector(1.0, lanes) / sums.value, lanes)
        with code.loop(blocks) as block:
            place = Place(n, block, tuple(position))
            body.write(place, y.load(place) * factor.value)


def _across_lanes(code: Code, register: Register, combine: Callable[[Expr, Expr], Expr]) -> None:
    """Give every lane what all lanes combine to."""
    distance = register.lanes // 2
    while distance:
        order = [lane ^ distance for lane in range(register.lanes)]
        value = register.value
        code.set(register, combine(value, shuffled([value], order)))
        distance //= 2


def _softmax_scalars(body: Body) -> None:
    (x,), layout, code = body.inputs, body.output.layout, body.code
    with code.parallel(layout.batch, *layout.spatial) as (n, *position):
        largest = code.register(number(LOWEST))
        with code.loop(layout.channels) as c:
            code.set(largest, larger(x.channel(n, c, position), largest.value, 1))
        total = Total(code, 1)
        with code.loop(layout.channels) as c:
            total.add(exponential(x.channel(n, c, position) - largest.value, 1))
        factor = code.register(number(1.0) / total.value)
        with code.loop(layout.blocks) as block, code.loop(layout.block) as lane:
            c = code.name(block * layout.block + lane)
            place = Place(n, block, tuple(position), lane)
            inside = tirx.min(c, layout.channels - 1)
            power = exponential(x.channel(n, inside, position) - largest.value, 1)
            body.write(place, power * factor.value)


def local_response_norm(call: Call[LocalResponseNorm]) -> Kernel:
    """x[c] / (k + alpha * the sum of the squares of the neighbouring channels)^beta."""
    op, lanes = call.op, call.output.block
    reach = op.size // 2
    aligned = call.x.block == lanes and call.x.channels % lanes == 0 and reach <= lanes

    def normalised(value: Expr, total: Expr, width: int) -> Expr:
        base = vector(op.k, width) + vector(op.alpha, width) * total
        return value * negative_power(base, op.beta, width)

    def square(value: Expr) -> Expr:
        return value * value

    def write_vectors(body: Body) -> None:
        for place in body.vectors():
            squares = _neighbours(body, place)
            total = body.code.register(vector(0.0, lanes), lanes)
            for shift in range(-reach, reach + 1):
                order = [lanes + lane + shift for lane in range(lanes)]
                body.code.set(total, total.value + shuffled(squares, order))
            body.write(place, normalised(body.inputs[0].load(place), total.value, lanes))

    def write_scalars(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, channel):
            first = code.name(tirx.max(channel - reach, 0))
            last = code.name(tirx.min(channel + reach, x.layout.channels - 1))
            near = Range(first, code.name(last - first + 1), op.size)
            total = summed(
                code, 1, [near], lambda at: square(x.channel(place.n, at[0], place.position))
            )
            body.write(place, normalised(x.load(place), total, 1))

    return Kernel("channels", call.step_weights(), write_vectors if aligned else write_scalars)


def _neighbours(body: Body, place: Place) -> list[Expr]:
    """The squares of the block before a place, of its own, of the one behind; zeros outside."""
    (x,) = body.inputs
    zero = vector(0.0, x.layout.block)
    last = x.layout.blocks - 1
    squares = []
    for block, inside in (
        (tirx.max(place.block - 1, 0), place.block > 0),
        (place.block, True),
        (tirx.min(place.block + 1, last), place.block < last),
    ):
        value = body.code.register(x.load(replace(place, block=block)), x.layout.block).value
        square = value * value if inside is True else tirx.Select(inside, value * value, zero)
        squares.append(body.code.register(square, x.layout.block).value)
    return squares


def negative_power(base: Expr, exponent: float, lanes: int) -> Expr:
    """base^-exponent of a positive base; by square roots if the exponent is 0.75 or 0.5."""
    if exponent == 0.5:
        return vector(1.0, lanes) / tirx.sqrt(base)
    if exponent == 0.75:
        root = tirx.sqrt(base)
        return vector(1.0, lanes) / (root * tirx.sqrt(root))
    return tirx.pow(base, vector(-exponent, lanes))


FAMILIES: Makers = {
    Maxout: maxout,
    ChannelMax: channel_max,
    Softmax: softmax,
    LocalResponseNorm: local_response_norm,
}
