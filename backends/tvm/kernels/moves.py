"""Operators that move channels: each channel of the result is one of an operand, or zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.tir import Expr, number, split, vector
from cnndsl.ir.operators import Concat, Flatten, PadChannels, Shuffle, Slice

Source = tuple[int, int]
"""Number of an operand, channel."""
MOST_BLOCKS = 128
"""Output blocks that are written out one by one."""


def _moved(call: Call, sources: Sequence[Source | None]) -> Kernel:
    """Each output channel is a channel of an operand; None is zero."""
    lanes = call.output.block
    blocked = all(x.block == lanes for x in call.inputs)
    vectors = blocked and lanes > 1 and call.output.blocks <= MOST_BLOCKS

    def write_scalars(body: Body) -> None:
        code, y = body.code, body.output.layout
        with code.parallel(y.batch, *y.spatial) as (n, *position):
            for block in range(y.blocks):
                place = Place(n, block, tuple(position))
                if y.channels < (block + 1) * y.block:
                    body.output.store(code, place, vector(0.0, y.block))
            for number_of, source in enumerate(sources):
                block, lane = divmod(number_of, y.block)
                place = Place(n, block, tuple(position), lane)
                given = number(0.0)
                if source is not None:
                    given = body.inputs[source[0]].channel(n, source[1], tuple(position))
                body.write(place, given)
        with code.parallel(y.batch, y.blocks) as (n, block):
            body.clear_halo(n, block, [])

    def write_vectors(body: Body) -> None:
        code, y = body.code, body.output.layout
        *outer, columns = y.spatial or (1,)
        with code.parallel(y.batch, *outer) as (n, *row):
            with code.loop(y.blocks) as block:
                body.clear_halo(n, block, row)
            for block in range(y.blocks):
                with code.loop(columns) as column:
                    place = Place(n, block, (*row, column) if y.spatial else ())
                    body.write(place, _gathered(body, place, sources))

    return Kernel("channels", call.weights(), write_vectors if vectors else write_scalars)


def _gathered(body: Body, place: Place, sources: Sequence[Source | None]) -> Expr:
    """The vector of the output block that `place` names by a number."""
    lanes = body.output.layout.block
    own = sources[place.block * lanes : (place.block + 1) * lanes]
    own = [*own, *[None] * (lanes - len(own))]
    if not any(own):
        return vector(0.0, lanes)
    read: dict[Source | None, int] = {}
    order = []
    for source in own:
        key = source and (source[0], source[1] // lanes)
        first = read.setdefault(key, len(read) * lanes)
        order.append(first + (source[1] % lanes if source else 0))
    vectors = [
        body.inputs[key[0]].load(replace(place, block=key[1])) if key else vector(0.0, lanes)
        for key in read
    ]
    if order == list(range(lanes)):
        return vectors[0]
    return tirx.Shuffle(vectors, [tirx.const(index, "int32") for index in order])


def take_slice(call: Call) -> Kernel:
    """A range of the channels."""
    op = call.core
    assert isinstance(op, Slice)
    return _moved(call, [(0, op.start + c) for c in range(call.output.channels)])


def shuffle(call: Call) -> Kernel:
    """y[i*groups + g] = x[g*(C/groups) + i]."""
    op = call.core
    assert isinstance(op, Shuffle)
    run = call.x.channels // op.groups
    return _moved(call, [(0, c % op.groups * run + c // op.groups) for c in range(call.x.channels)])


def pad_channels(call: Call) -> Kernel:
    """Zero channels at the end."""
    missing = call.output.channels - call.x.channels
    return _moved(call, [*((0, c) for c in range(call.x.channels)), *[None] * missing])


def flatten(call: Call) -> Kernel:
    """Channel by channel, the last axis fastest."""
    sizes = (call.x.channels, *call.x.spatial)

    def write(body: Body) -> None:
        with body.scalars() as (place, number_of):
            channel, *position = split(number_of, sizes)
            body.write(place, body.inputs[0].channel(place.n, channel, position))

    return Kernel("channels", call.weights(), write)


def concat(call: Call) -> Kernel:
    """The operands' channels one after another."""
    return _moved(call, [(i, c) for i, x in enumerate(call.inputs) for c in range(x.channels)])


FAMILIES = {
    Slice: take_slice,
    Shuffle: shuffle,
    PadChannels: pad_channels,
    Flatten: flatten,
    Concat: concat,
}
