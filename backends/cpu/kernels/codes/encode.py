"""Codes of float32 numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, load, shuffled, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.codes.operators import Encode
from cnndsl.backends.cpu.kernels.codes.store import all_codes, stored, stored_wide
from cnndsl.backends.cpu.kernels.codes.words import WORD
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import constant


def encode(call: Call[Encode]) -> Kernel:
    """Of blocks, and of plain maps: those of an image by as many columns as a vector holds."""
    result, x, y = call.op.result, call.x, call.output
    weights = {"scale": constant([result.scale]), "limits": all_codes(result)["range"]}
    is_image = x.block == 1 and y.blocks == 1 and y.rank > 0
    write = _write_vectors if x.block == y.block else _write_image if is_image else _write_numbers
    return Kernel("codes", weights, write)


def _write_vectors(body: Body) -> None:
    for place in body.vectors():
        lanes = place.lanes(body.call.output)
        steps = _steps(body, body.inputs[0].load(place), lanes)
        body.output.store(body.code, place, stored(body, steps, lanes))


def _write_numbers(body: Body) -> None:
    with body.scalars() as (place, channel):
        _write_number(body, place, channel)


def _write_number(body: Body, place: Place, channel: Expr) -> None:
    number = body.inputs[0].channel(place.n, channel, place.position)
    body.output.store(body.code, place, stored(body, _steps(body, number, 1), 1))


def _write_image(body: Body) -> None:
    """Words of the channels of a position, a vector of columns at a time; then what is left."""
    code, y = body.code, body.output.layout
    lanes = body.call.machine.lanes
    whole, rest = divmod(y.spatial[-1], lanes)
    with body.rows(y) as (n, _, row):
        body.clear_halo(n, 0, row)
        with code.loop(whole) as index:
            _write_columns(body, Place(n, 0, (*row, index * lanes)))
        if rest:
            with code.loop(rest) as column:
                place = Place(n, 0, (*row, whole * lanes + column))
                body.output.store(code, place, body.output.zeros(y.block))
                for channel in range(y.channels):
                    _write_number(body, replace(place, lane=channel), channel)


def _write_columns(body: Body, place: Place) -> None:
    """The blocks of as many columns as a vector has lanes."""
    code, x, y = body.code, body.inputs[0], body.output.layout
    lanes = body.call.machine.lanes

    def steps(channel: int) -> Expr:
        numbers = x.load(replace(place, block=channel, width=lanes))
        return _steps(body, numbers, lanes)

    if y.block < WORD:
        index, channels = y.index(place.n, 0, place.position), range(y.block)
        codes = [stored(body, steps(channel), lanes) for channel in channels]
        order = [channel * lanes + column for column in range(lanes) for channel in channels]
        code.store(body.output.buffer, index, shuffled(codes, order), lanes * y.block)
        return
    words = []
    for first in range(0, y.block, WORD):
        codes = []
        for channel in range(first, min(first + WORD, y.channels)):
            code_of = stored_wide(body, steps(channel), lanes)
            codes.append(tirx.shift_left(code_of, _whole(8 * (channel - first), lanes)))
        total = reduce(tirx.bitwise_or, codes) if codes else _whole(0, lanes)
        words.append(code.register(total, lanes, "int32").value)
    order = [word * lanes + column for column in range(lanes) for word in range(len(words))]
    together = shuffled(words, order) if len(words) > 1 else words[0]
    index = y.index(place.n, 0, place.position)
    count = lanes * y.block
    code.store(body.output.buffer, index, tirx.reinterpret(f"uint8x{count}", together), count)


def _steps(body: Body, numbers: Expr, lanes: int) -> Expr:
    return numbers / vector(load(body.weights["scale"], 0), lanes)


def _whole(value: int, lanes: int) -> Any:
    return vector(tirx.const(value, "int32"), lanes)
