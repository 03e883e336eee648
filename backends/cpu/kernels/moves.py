"""Operators that move channels: each channel of the result is one of an operand, or zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, div, mod, split, vector
from cnndsl.backends.cpu.codegen.gather import Source, gathered, shuffle_source
from cnndsl.backends.cpu.codegen.layout import Place, Tensor
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import Concat, Flatten, PadChannels, Shuffle, Slice

MOST_BLOCKS = 32
"""Output blocks that are written out one by one."""


def _moved(
    call: Call[Any], sources: Sequence[Source | None], value: Callable[[Tensor, Place, Expr], Expr]
) -> Kernel:
    """Each output channel is a channel of the operand; None is zero.

    `value` gives the same by the number of the channel where vectors do not serve: for one number,
    or for the columns of plain maps.
    """
    if _are_vectors(call):
        return _in_vectors(call, sources)

    def write(body: Body) -> None:
        if call.x.block == call.output.block == 1:
            for place in body.vectors():
                body.write(place, value(body.inputs[0], place, place.block))
            return
        with body.scalars() as (place, channel):
            body.write(place, value(body.inputs[0], place, channel))

    return Kernel("moves", call.step_weights(), write)


def _at(x: Tensor, place: Place, channel: Expr) -> Expr:
    """Another channel at a place: one number, or those of its columns."""
    if place.width > 1:
        return x.load(replace(place, block=channel))
    return x.channel(place.n, channel, place.position)


def _are_vectors(call: Call[Any]) -> bool:
    """Whether each vector of the result can be written by code of its own."""
    lanes = call.output.block
    blocked = all(x.block == lanes for x in call.inputs)
    return blocked and lanes > 1 and call.output.blocks <= MOST_BLOCKS


def _in_vectors(call: Call[Any], sources: Sequence[Source | None]) -> Kernel:
    def write(body: Body) -> None:
        code, y = body.code, body.output.layout
        *outer, columns = y.spatial or (1,)
        with code.parallel(y.batch, *outer) as (n, *row):
            with code.loop(y.blocks) as block:
                body.clear_halo(n, block, row)
            for block in range(y.blocks):
                with code.loop(columns) as column:
                    place = Place(n, block, (*row, column) if y.spatial else ())
                    body.write(place, gathered(body.inputs, place, sources, y.block))

    return Kernel("moves", call.step_weights(), write)


def take_slice(call: Call[Slice]) -> Kernel:
    """A range of the channels."""
    op = call.op
    sources = [(0, op.start + c) for c in range(call.output.channels)]
    return _moved(call, sources, lambda x, place, c: _at(x, place, c + op.start))


def shuffle(call: Call[Shuffle]) -> Kernel:
    """y[i*groups + g] = x[g*(C/groups) + i]."""
    op = call.op

    def source(c: Expr) -> Expr:
        return shuffle_source(op, call.x.channels, c)

    return _moved(
        call,
        [(0, source(c)) for c in range(call.x.channels)],
        lambda x, place, c: _at(x, place, source(c)),
    )


def pad_channels(call: Call[Any]) -> Kernel:
    """Zero channels at the end."""
    missing = call.output.channels - call.x.channels

    def value(x: Tensor, place: Place, c: Expr) -> Expr:
        inside = tirx.min(c, call.x.channels - 1)
        given = _at(x, place, inside)
        return tirx.Select(c < call.x.channels, given, vector(0.0, place.width))

    return _moved(call, [*((0, c) for c in range(call.x.channels)), *[None] * missing], value)


def flatten(call: Call[Any]) -> Kernel:
    """Channel by channel, the last axis fastest."""
    sizes = (call.x.channels, *call.x.spatial)

    def write(body: Body) -> None:
        with body.scalars() as (place, number_of):
            channel, *position = split(number_of, sizes)
            body.write(place, body.inputs[0].channel(place.n, channel, position))

    return Kernel("moves", call.step_weights(), write)


def concat(call: Call[Any]) -> Kernel:
    """The operands' channels one after another."""
    if _are_vectors(call):
        channels = [(i, c) for i, x in enumerate(call.inputs) for c in range(x.channels)]
        return _in_vectors(call, channels)
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

    return Kernel("moves", call.step_weights(), write)


def _prepare_blocks(body: Body) -> None:
    """Clear the halo, and the last block if some of its lanes hold no channel.

    In place the first block holds channels already.
    """
    y, code = body.output, body.code
    with code.parallel(y.layout.batch, y.layout.blocks) as (n, block):
        y.clear_halo_once(code, n, block, [])
    if y.layout.channels % y.layout.block and not (body.call.in_place and y.layout.blocks == 1):
        zero = vector(0.0, y.layout.block)
        with code.parallel(y.layout.batch, *y.layout.spatial) as (n, *position):
            y.store(code, Place(n, y.layout.blocks - 1, tuple(position)), zero)


def _copy_blocks(body: Body, x: Tensor, start: int) -> None:
    code, layout = body.code, x.layout
    if layout.block == 1 and layout.rank:
        *outer, columns = layout.spatial
        with code.parallel(layout.batch, layout.blocks, *outer) as (n, block, *row):
            for column, width in body.pieces(columns):
                place = Place(n, block, (*row, column), width=width)
                target = replace(place, block=block + start)
                body.output.store(code, target, x.load(place))
        return
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


FAMILIES: Makers = {
    Slice: take_slice,
    Shuffle: shuffle,
    PadChannels: pad_channels,
    Flatten: flatten,
    Concat: concat,
}
