"""Operators that move channels, or combine those of one position: plain loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.layout import Place, Tensor
from cnndsl.backends.tvm.tir import Expr, div, mod, number, split, vector
from cnndsl.ir.operators import (
    ChannelMax,
    Concat,
    Flatten,
    LocalResponseNorm,
    Maxout,
    PadChannels,
    Shuffle,
    Slice,
    Softmax,
)

LOWEST = -3.402823466e38


def _moved(call: Call, value: Callable[[Tensor, Place, Expr], Expr]) -> Kernel:
    """Each output channel is one number of the operand."""

    def write(body: Body) -> None:
        with body.scalars() as (place, channel):
            body.write(place, value(body.inputs[0], place, channel))

    return Kernel("channels", call.weights(), write)


def take_slice(call: Call) -> Kernel:
    """A range of the channels."""
    op = call.core
    assert isinstance(op, Slice)
    return _moved(call, lambda x, place, c: x.channel(place.n, c + op.start, place.position))


def shuffle(call: Call) -> Kernel:
    """y[i*groups + g] = x[g*(C/groups) + i]."""
    op = call.core
    assert isinstance(op, Shuffle)
    run = call.x.channels // op.groups

    def value(x: Tensor, place: Place, c: Expr) -> Expr:
        source = mod(c, op.groups) * run + div(c, op.groups)
        return x.channel(place.n, source, place.position)

    return _moved(call, value)


def pad_channels(call: Call) -> Kernel:
    """Zero channels at the end."""

    def value(x: Tensor, place: Place, c: Expr) -> Expr:
        inside = tirx.min(c, call.x.channels - 1)
        given = x.channel(place.n, inside, place.position)
        return tirx.Select(c < call.x.channels, given, number(0.0))

    return _moved(call, value)


def flatten(call: Call) -> Kernel:
    """Channel by channel, the last axis fastest."""
    sizes = (call.x.channels, *call.x.spatial)

    def value(x: Tensor, place: Place, c: Expr) -> Expr:
        channel, *position = split(c, sizes)
        return x.channel(place.n, channel, position)

    return _moved(call, value)


def concat(call: Call) -> Kernel:
    """The operands' channels one after another; whole blocks where they start at one."""
    block = call.output.block

    def write(body: Body) -> None:
        _prepare_blocks(body)
        start = 0
        for x in body.inputs:
            if start % block == 0 and x.layout.block == block:
                _copy_blocks(body, x, start // block)
            else:
                _copy_channels(body, x, start)
            start += x.layout.channels

    return Kernel("channels", call.weights(), write)


def _prepare_blocks(body: Body) -> None:
    """Clear the halo, and the last block if some of its lanes hold no channel."""
    y, code = body.output, body.code
    with code.parallel(y.layout.batch, y.layout.blocks) as (n, block):
        y.clear_halo_once(code, n, block, [])
    if y.layout.channels % y.layout.block:
        zero = vector(0.0, y.layout.block)
        with code.parallel(y.layout.batch, *y.layout.spatial) as (n, *position):
            y.store(code, Place(n, y.layout.blocks - 1, tuple(position)), zero)


def _copy_blocks(body: Body, x: Tensor, start: int) -> None:
    code, layout = body.code, x.layout
    with code.parallel(layout.batch, layout.blocks, *layout.spatial) as (n, block, *position):
        value = x.load(Place(n, block, tuple(position)))
        body.output.store(code, Place(n, block + start, tuple(position)), value)


def _copy_channels(body: Body, x: Tensor, start: int) -> None:
    code, layout, block = body.code, x.layout, body.output.layout.block
    with code.parallel(layout.batch, layout.channels, *layout.spatial) as (n, c, *position):
        value = x.channel(n, c, position)
        target = code.name(c + start)
        place = Place(n, div(target, block), tuple(position), mod(target, block))
        body.output.store(code, place, value)


def maxout(call: Call) -> Kernel:
    """Largest of each run of channels."""
    op = call.core
    assert isinstance(op, Maxout)

    def write(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            values = [
                x.channel(place.n, channel * op.pieces + j, place.position)
                for j in range(op.pieces)
            ]
            body.write(place, _largest(values))

    return Kernel("channels", call.weights(), write)


def _largest(values: list[Expr]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = tirx.max(result, value)
    return result


def channel_max(call: Call) -> Kernel:
    """Largest channel at each position."""

    def write(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, _):
            result = code.register(number(LOWEST))
            with code.loop(x.layout.channels) as c:
                value = x.channel(place.n, c, place.position)
                code.set(result, tirx.max(result.value, value))
            body.write(place, result.value)

    return Kernel("channels", call.weights(), write)


def softmax(call: Call) -> Kernel:
    """Over the channels, shifted by their maximum against overflow."""
    layout = call.output

    def write(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with code.parallel(layout.batch, *layout.spatial) as (n, *position):
            largest = code.register(number(LOWEST))
            with code.loop(layout.channels) as c:
                code.set(largest, tirx.max(largest.value, x.channel(n, c, position)))
            total = code.register(number(0.0))
            with code.loop(layout.channels) as c:
                power = tirx.exp(x.channel(n, c, position) - largest.value)
                code.set(total, total.value + power)
            factor = code.register(number(1.0) / total.value)
            with code.loop(layout.blocks) as block, code.loop(layout.block) as lane:
                c = code.name(block * layout.block + lane)
                place = Place(n, block, tuple(position), lane)
                inside = tirx.min(c, layout.channels - 1)
                power = tirx.exp(x.channel(n, inside, position) - largest.value)
                body.write(place, power * factor.value)
        with code.parallel(layout.batch, layout.blocks) as (n, block):
            body.clear_halo(n, block, [])

    return Kernel("channels", call.weights(), write)


def local_response_norm(call: Call) -> Kernel:
    """x[c] / (k + alpha * the sum of the squares of the neighbouring channels)^beta."""
    op, lanes = call.core, call.output.block
    assert isinstance(op, LocalResponseNorm)
    reach = op.size // 2
    aligned = call.x.block == lanes and call.x.channels % lanes == 0 and reach <= lanes

    def normalised(value: Expr, total: Expr, width: int) -> Expr:
        base = vector(op.k, width) + vector(op.alpha, width) * total
        return value * negative_power(base, op.beta, width)

    def write_vectors(body: Body) -> None:
        with body.vectors() as place:
            squares = _neighbours(body, place)
            total = body.code.register(vector(0.0, lanes), lanes)
            for shift in range(-reach, reach + 1):
                order = [tirx.const(lanes + lane + shift, "int32") for lane in range(lanes)]
                body.code.set(total, total.value + tirx.Shuffle(squares, order))
            body.write(place, normalised(body.inputs[0].load(place), total.value, lanes))

    def write_scalars(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, channel):
            total = code.register(number(0.0))
            first = code.name(tirx.max(channel - reach, 0))
            last = code.name(tirx.min(channel + reach, x.layout.channels - 1))
            with code.loop(last - first + 1) as j:
                value = x.channel(place.n, first + j, place.position)
                code.set(total, total.value + value * value)
            body.write(place, normalised(x.load(place), total.value, 1))

    return Kernel("channels", call.weights(), write_vectors if aligned else write_scalars)


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


FAMILIES = {
    Slice: take_slice,
    Shuffle: shuffle,
    PadChannels: pad_channels,
    Flatten: flatten,
    Concat: concat,
    Maxout: maxout,
    ChannelMax: channel_max,
    Softmax: softmax,
    LocalResponseNorm: local_response_norm,
}
