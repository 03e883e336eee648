"""Strips: the operand of a few rows of outputs, channels last, in memory of each core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.amx import WORDS
from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    load_bits,
    minimum,
    span,
    split,
    vector,
)
from cnndsl.backends.cpu.codegen.layout import Place, with_lanes_cleared
from cnndsl.backends.cpu.kernels.amx.shape import Shape
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.ir.types import BFLOAT16


@dataclass(frozen=True)
class Rows:
    """`count` rows of the grid from `first` on, of a sample and a group."""

    sample: Expr
    group: Expr
    first: Expr
    count: Expr


@dataclass(frozen=True)
class Strips:
    """How a strip is filled, position by position.

    A position's blocks are written as wholes. What is written behind its words is written over
    by the next one's.
    """

    shape: Shape

    def fill(self, body: Body, start: Expr, rows: Rows) -> None:
        """Copy what the rows read to the scratch memory, from the word `start` on."""
        code, shape = body.code, self.shape
        for index, n, position in self._positions(body, rows):
            to = code.base(start + index * shape.words)
            self._copy(body, to, n, rows.group, position)

    def _positions(self, body: Body, rows: Rows) -> Iterator[tuple[Expr, Expr, tuple[Expr, ...]]]:
        """Number in the strip, sample and place in the operand of each position, in loops."""
        kinds = {"flat": self._flat, "batched": self._batched, "rows": self._rows}
        yield from kinds[self.shape.kind](body, rows)

    def _flat(self, body: Body, rows: Rows) -> Iterator[tuple[Expr, Expr, tuple[Expr, ...]]]:
        code, shape, x = body.code, self.shape, body.inputs[0].layout
        is_row = x.is_dense and shape.stride == (1, 1) and not any(shape.before)
        (down, right), (before, left) = shape.stride, shape.before
        first = code.name(rows.first * shape.height)
        with code.loop(self._count(body, rows)) as index:
            place = code.name(first + index)
            if is_row:
                yield index, rows.sample, (0, place)
            else:
                i, j = split(place, shape.outputs)
                yield index, rows.sample, (i * down - before, j * right - left)

    def _batched(self, body: Body, rows: Rows) -> Iterator[tuple[Expr, Expr, tuple[Expr, ...]]]:
        code, shape = body.code, self.shape
        (below, beside), (before, left) = shape.dilation, shape.before
        height, width = shape.kernel
        first = code.name(rows.first * shape.height)
        samples = code.loop(self._count(body, rows))
        with samples as sample, code.loop(height) as i, code.loop(width) as j:
            index = sample * shape.run + i * width + j
            yield index, code.name(first + sample), (i * below - before, j * beside - left)

    def _rows(self, body: Body, rows: Rows) -> Iterator[tuple[Expr, Expr, tuple[Expr, ...]]]:
        code, shape = body.code, self.shape
        top = code.name(rows.first * shape.stride[0] - shape.before[0])
        count = code.name(shape.strip_rows(rows.count))
        with code.loop(count) as i, code.loop(shape.width) as j:
            yield i * shape.width + j, rows.sample, (top + i, j - shape.before[1])

    def _count(self, body: Body, rows: Rows) -> Expr:
        """Positions of some rows of one tile each."""
        height = self.shape.height
        left = self.shape.positions - rows.first * height
        return body.code.name(minimum(rows.count * height, left))

    def _copy(self, body: Body, to: Expr, n: Expr, group: Expr, position: tuple[Expr, ...]) -> None:
        """One position: all blocks of the group, then zeros up to the words of a position."""
        code, shape = body.code, self.shape
        each = shape.lanes // shape.size
        axes = position[len(position) - body.call.x.rank :]
        first = group * shape.inner
        whole = shape.inner - bool(shape.channels % shape.lanes)

        def copy(block: Expr, channels: int) -> None:
            place = Place(n, code.name(first + block), axes)
            words = self._words(body, place, channels)
            code.store(body.scratch, to + block * each, words, each)

        if whole:
            with code.loop(whole) as block:
                copy(block, shape.lanes)
        if whole < shape.inner:
            copy(whole, shape.channels % shape.lanes)
        if shape.inner * each < shape.words:
            zeros = vector(tirx.const(0, "int32"), WORDS)
            code.store(body.scratch, to + shape.inner * each, zeros, WORDS)

    def _words(self, body: Body, place: Place, channels: int) -> Expr:
        """The words of a block of the operand after its prologue; the block has so many channels.

        In bfloat16 what has no channel may be infinite, and is zero here.
        """
        x, lanes = body.inputs[0], self.shape.lanes
        kind = f"int32x{lanes // self.shape.size}"
        is_short = x.layout.dtype == BFLOAT16.name
        if body.call.prologue:
            value = with_lanes_cleared(body.read(place), place, x.layout)
            return tirx.reinterpret(kind, body.code.rounded(value, lanes))
        bits = load_bits(x.buffer, x.layout.index(place.n, place.block, place.position), lanes)
        if is_short and channels < lanes:
            bits = _first_alone(bits, channels, lanes)
        return tirx.reinterpret(kind, bits)


def _first_alone(bits: Any, count: int, lanes: int) -> Expr:
    """Zeros in all but the first lanes."""
    inside = span(0, lanes) < vector(tirx.const(count, "int32"), lanes)
    return tirx.Select(inside, bits, vector(tirx.const(0, "uint16"), lanes))
