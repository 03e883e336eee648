"""Operators that move elements: each one of the result is one of an operand, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import add
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    INDICES,
    Expr,
    all_of,
    div,
    maximum,
    minimum,
    mod,
    shuffled,
    vector,
)
from cnndsl.backends.cpu.codegen.gather import Source, gathered
from cnndsl.backends.cpu.codegen.layout import Place, Tensor
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.index import Index, axis
from cnndsl.ir.operators import ALL, BESIDE, Concat, ConcatPositions, Gathering, Upsample

MOST_BLOCKS = 32
"""Output blocks that are written out one by one."""


@dataclass(frozen=True)
class Move:
    """The kernel of an operator whose results lie at the indices `source` of the operand."""

    call: Call[Gathering]
    source: tuple[Index, ...]

    @property
    def keeps_channels(self) -> bool:
        """Whether channels stay, all at the same positions."""
        channel, *position = self.source
        same = channel == axis(0) and self.call.x.channels == self.call.output.channels
        return same and all(0 not in index.axes for index in position)

    @property
    def moves_channels(self) -> bool:
        """Whether the channel depends on the channel alone, and positions stay."""
        channel, *position = self.source
        same = [axis(1 + number) for number in range(self.call.output.rank)]
        return channel.axes <= {0} and position == same and self.call.op.fill in (None, 0.0)

    def kernel(self) -> Kernel:
        """By vectors where these can be read as such, else number by number."""
        call = self.call
        alike = call.x.block == call.output.block
        if alike and (call.x.block == 1 or self.keeps_channels):
            return Kernel("elementwise", call.step_weights(), self._write_vectors)
        if self.moves_channels and _are_vectors(call):
            return _in_vectors(call, self._channels())
        return Kernel("moves", call.step_weights(), self._write_numbers)

    def _channels(self) -> list[Source | None]:
        """The channel that each one of the result is."""
        given = range(self.call.x.channels)
        found = (self.source[0].compute([c]) for c in range(self.call.output.channels))
        return [(0, c) if c in given else None for c in found]

    def _write_vectors(self, body: Body) -> None:
        """Vectors of a block's channels, or of the columns that lie at equal distances."""
        columns, step = self._columns()
        for place in body.vectors(columns):
            body.write(place, self._element(body, replace(place, step=step), place.block))

    def _write_numbers(self, body: Body) -> None:
        with body.scalars() as (place, channel):
            body.write(place, self._element(body, place, channel))

    def _columns(self) -> tuple[range, int]:
        """The longest run of a row's columns that are columns of one row, and their distance."""
        rank, none = self.call.output.rank, range(0)
        *others, last = self.source
        if not rank or not self.call.x.rank or last.axes != {rank} or self.call.is_open:
            return none, 1
        if any(rank in index.axes for index in others):
            return none, 1
        size, count = self.call.x.spatial[-1], self.call.output.spatial[-1]
        found = [last.compute([0] * rank + [column]) for column in range(count)]
        steps = [b - a if a >= 0 and b < size else 0 for a, b in pairwise(found)]
        best = none, 1
        for step, run in groupby(range(count - 1), key=steps.__getitem__):
            columns = [*run]
            if step > 0 and len(columns) >= len(best[0]):
                best = range(columns[0], columns[-1] + 2), step
        return best

    def _element(self, body: Body, place: Place, channel: Expr) -> Expr:
        """What belongs at a place, whose channel is given: that of a block that moves as one."""
        (x, *_), layout, fill = body.inputs, self.call.x, self.call.op.fill
        is_open, extents = self.call.is_open, self.call.core.output.sizes
        inside: list[Expr] = []
        found: list[Expr] = []
        for index, size in zip(self.source, (layout.channels, *layout.spatial), strict=True):
            value = index.compute([channel, *place.position], INDICES)
            low, high = (-1, size) if is_open else index.bounds(extents)
            of_columns = place.width > 1 and len(found) == layout.rank
            if fill is not None and not of_columns and (is_open or low < 0 or high >= size):
                inside += [value >= 0] * (low < 0)
                inside += [value < size] * (is_open or high >= size)
                value = maximum(minimum(value, size - 1), 0)
            found.append(value)
        if place.lane is None:
            given = x.load(replace(place, block=found[0], position=tuple(found[1:])))
        else:
            given = x.channel(place.n, found[0], found[1:])
        condition = all_of(inside)
        if condition is True:
            return given
        lanes = place.lanes(self.call.output)
        missing = vector(fill, lanes) if fill else body.output.zeros(lanes)
        return tirx.Select(condition, given, missing)


def gather(call: Call[Gathering]) -> Kernel:
    """Each result is the element at `source`, or `fill` where there is none."""
    return Move(call, call.op.source(call.core.inputs[0])).kernel()


def upsample(call: Call[Upsample]) -> Kernel:
    """Every position `factor` times on each axis."""
    if call.x.block == call.output.block == 1:
        return Kernel("elementwise", call.step_weights(), _repeat_columns)
    return gather(call)


def _repeat_columns(body: Body) -> None:
    """Upsampling of plain maps: each vector of columns gives `factor` vectors."""
    code, x, y, factor = body.code, body.inputs[0], body.output, body.call.op.factor
    with body.rows(y.layout) as (n, block, outer):
        body.clear_halo(n, block, outer)
        row = [div(index, times) for index, times in zip(outer, factor[:-1], strict=True)]
        for column, width in body.pieces(x.layout.spatial[-1]):
            source = Place(n, block, (*row, column), width=width)
            value = code.register(x.load(source), width, x.buffer.dtype).value
            for part in range(factor[-1]):
                first = column * factor[-1] + part * width
                order = [(part * width + lane) // factor[-1] for lane in range(width)]
                repeated = shuffled([value], order) if width > 1 else value
                body.write(replace(source, position=(*outer, first)), repeated)


def _are_vectors(call: Call[Any]) -> bool:
    """Whether each vector of the result can be written by code of its own."""
    lanes = call.output.block
    blocked = all(x.block == lanes for x in call.inputs)
    return blocked and lanes > 1 and call.output.blocks <= MOST_BLOCKS


def _in_vectors(call: Call[Any], sources: Sequence[Source | None]) -> Kernel:
    def write(body: Body) -> None:
        code, y = body.code, body.output.layout
        *outer, columns = y.spatial or (1,)
        zeros = body.output.zeros(y.block)
        with code.parallel(y.batch, *outer) as (n, *row):
            with code.loop(y.blocks) as block:
                body.clear_halo(n, block, row)
            for block in range(y.blocks):
                with code.loop(columns) as column:
                    place = Place(n, block, (*row, column) if y.spatial else ())
                    body.write(place, gathered(body.inputs, place, sources, zeros))

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


def beside(call: Call[ConcatPositions]) -> Kernel:
    """The operands' maps one after another on an axis."""
    axis = call.op.axis(call.output.rank)

    def write(body: Body) -> None:
        _prepare_blocks(body)
        shift = [0] * call.output.rank
        for x in body.inputs:
            if x.layout.block == call.output.block:
                _copy_blocks(body, x, 0, shift)
            else:
                _copy_channels(body, x, 0, shift)
            shift[axis] += x.layout.spatial[axis]

    return Kernel("moves", call.step_weights(), write)


def _prepare_blocks(body: Body) -> None:
    """Clear the halo, and the last block if some of its lanes hold no channel.

    In place the first block holds channels already.
    """
    y, code = body.output, body.code
    with code.parallel(y.layout.batch, y.layout.blocks) as (n, block):
        y.clear_halo_once(code, n, block, [])
    if y.layout.channels % y.layout.block and not (body.call.in_place and y.layout.blocks == 1):
        zero = y.zeros(y.layout.block)
        with code.parallel(y.layout.batch, *y.layout.spatial) as (n, *position):
            y.store(code, Place(n, y.layout.blocks - 1, tuple(position)), zero)


def _copy_blocks(body: Body, x: Tensor, start: int, shift: Sequence[int] = ()) -> None:
    """Copy an operand to the blocks from `start` on, and so many positions further on each axis."""
    code, layout = body.code, x.layout

    def copy(place: Place) -> None:
        moved = _shifted(place.position, shift)
        target = replace(place, block=place.block + start, position=moved)
        body.output.store(code, target, x.load(place))

    if layout.block == 1 and layout.rank:
        *outer, columns = layout.spatial
        with code.parallel(layout.batch, layout.blocks, *outer) as (n, block, *row):
            for column, width in body.pieces(columns):
                copy(Place(n, block, (*row, column), width=width))
        return
    with code.parallel(layout.batch, layout.blocks, *layout.spatial) as (n, block, *position):
        copy(Place(n, block, tuple(position)))


def _copy_channels(body: Body, x: Tensor, start: int, shift: Sequence[int] = ()) -> None:
    code, layout, block = body.code, x.layout, body.output.layout.block
    with code.parallel(layout.batch, layout.channels, *layout.spatial) as (n, c, *position):
        value = x.channel(n, c, position)
        target = code.name(c + start)
        place = Place(n, div(target, block), _shifted(position, shift), mod(target, block))
        body.output.store(code, place, value)


def _shifted(position: Sequence[Expr], shift: Sequence[int]) -> tuple[Expr, ...]:
    return tuple(map(add, position, shift or [0] * len(position)))


FAMILIES: Makers = {
    **{op: gather for op in ALL if issubclass(op, Gathering)},
    Upsample: upsample,
    Concat: concat,
    **dict.fromkeys(BESIDE, beside),
}
