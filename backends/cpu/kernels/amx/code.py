"""The code of kernels by AMX: strips, products of tiles, sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from cnndsl.backends.cpu.codegen import amx
from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    all_of,
    div,
    load,
    minimum,
    mod,
    negated,
    split,
)
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.amx.shape import SIDE, Shape
from cnndsl.backends.cpu.kernels.amx.strips import Rows, Strips
from cnndsl.backends.cpu.kernels.kernel import Body

SUMS = tuple(range(SIDE * SIDE))
"""The tiles of sums: those of a tile of positions follow one another."""
POSITIONS = (4, 5)
WEIGHTS = (6, 7)
SUM = amx.ROWS * amx.WORDS
"""Words of a tile of sums."""
TILES = "tiles"
"""The packed weight that is the configuration."""

Finish = Callable[[Body, Place, Expr], None]
"""Stores what follows from the vector of sums of a place, 32 bits each."""


@dataclass(frozen=True)
class Division:
    """A task computes `rows` rows of the grid for `chunks` pairs of output blocks of a group."""

    rows: int
    chunks: int


@dataclass(frozen=True)
class AmxCode:
    """`instruction` multiplies two tiles; `cores` share the tasks."""

    shape: Shape
    division: Division
    instruction: str
    cores: int
    finish: Finish

    @property
    def tiles(self) -> list[int]:
        """The configuration."""
        shape = self.shape
        return amx.configuration(
            [
                *[(shape.height, amx.WORDS)] * len(SUMS),
                *[(shape.height, shape.depth)] * len(POSITIONS),
                *[(shape.depth, amx.WORDS)] * len(WEIGHTS),
            ]
        )

    @property
    def scratch(self) -> int:
        """Words: of each core a strip and the sums of one round."""
        return self.cores * self._own

    @property
    def _strip(self) -> int:
        return -(-self.shape.strip(self.division.rows) // amx.WORDS) * amx.WORDS

    @property
    def _own(self) -> int:
        return self._strip + len(SUMS) * SUM

    def write(self, body: Body) -> None:
        """All outputs."""
        code = body.code
        amx.configure(code, body.weights[TILES])
        for rows, outer, start in self._tasks(body):
            Strips(self.shape).fill(body, start, rows)
            with code.loop(self.division.chunks) as inner:
                pair = code.name(outer * self.division.chunks + inner)
                self._clear_halo(body, rows, pair)
                self._pair(body, rows, pair, start)
        amx.release(code)

    def _tasks(self, body: Body) -> Iterator[tuple[Rows, Expr, Expr]]:
        """The rows of a task, the number of its chunk of a group, the first word of its strip."""
        code, shape, division = body.code, self.shape, self.division
        parts = -(-shape.rows // division.rows), shape.pairs // division.chunks
        extents = shape.samples, parts[0], shape.groups, parts[1]
        with code.share(self.cores, *extents, meets=False) as (core, n, part, group, chunk):
            first = code.name(part * division.rows)
            count = code.name(minimum(division.rows, shape.rows - first))
            if shape.rows % division.rows == 0:
                count = division.rows
            yield Rows(n, group, first, count), chunk, code.name(core * self._own)

    def _clear_halo(self, body: Body, rows: Rows, pair: Expr) -> None:
        """Clear the halo of the blocks of a pair, of the samples that begin here."""
        code, y, shape = body.code, body.output, self.shape
        if not any(map(any, y.layout.halo)):
            return
        is_batched = shape.kind == "batched"
        count = rows.count * shape.height if is_batched else 1
        with (
            code.when(True if is_batched else all_of([rows.first == 0])),
            code.loop(code.name(count)) as sample,
            code.loop(SIDE) as b,
        ):
            n = code.name(rows.first * shape.height + sample) if is_batched else rows.sample
            block = code.name(pair * SIDE + b)
            exists = all_of(
                [
                    shape.blocks % SIDE == 0 or block < shape.blocks,
                    not is_batched or shape.batch % shape.height == 0 or n < shape.batch,
                ]
            )
            with code.when(exists):
                y.clear_halo(code, n, code.name(rows.group * shape.blocks + block))

    def _pair(self, body: Body, rows: Rows, pair: Expr, start: Expr) -> None:
        """All rows of a task for two output blocks, or for the last one of a group."""
        code, shape = body.code, self.shape
        is_last = pair == shape.pairs - 1
        kinds = [(True, SIDE)]
        if shape.blocks % SIDE:
            kinds = [(negated(is_last), SIDE), (is_last, 1)]
        tiles = rows.count * shape.across
        for is_kind, blocks in kinds:
            with code.when(is_kind):
                if isinstance(tiles, int):
                    with code.loop(tiles // SIDE) as index:
                        self._round(body, rows, pair, start, index * SIDE, (SIDE, blocks))
                    if tiles % SIDE:
                        self._round(body, rows, pair, start, tiles - 1, (1, blocks))
                    continue
                with code.loop(code.name(div(tiles, SIDE))) as index:
                    self._round(body, rows, pair, start, index * SIDE, (SIDE, blocks))
                with code.when(mod(tiles, SIDE) == 1):
                    self._round(body, rows, pair, start, tiles - 1, (1, blocks))

    def _round(
        self,
        body: Body,
        rows: Rows,
        pair: Expr,
        start: Expr,
        first: Expr,
        counts: tuple[int, int],
    ) -> None:
        """Some tiles of positions from the `first` of the task on times some output blocks."""
        code, shape = body.code, self.shape
        tiles = [code.name(first + index) for index in range(counts[0])]
        own = rows.group * shape.blocks + pair * SIDE
        blocks = [code.name(own + index) for index in range(counts[1])]
        for a, b in product(range(counts[0]), range(counts[1])):
            amx.clear(code, SUMS[SIDE * a + b])
        self._multiply(body, start, tiles, blocks)
        place = code.name(start + self._strip)
        for a, b in product(range(counts[0]), range(counts[1])):
            number = SIDE * a + b
            amx.store(code, SUMS[number], body.scratch, place + number * SUM, 4 * amx.WORDS)
        for a, tile in enumerate(tiles):
            for b, block in enumerate(blocks):
                self._finish(body, rows, tile, block, place + (SIDE * a + b) * SUM)

    def _multiply(self, body: Body, start: Expr, tiles: list[Expr], blocks: list[Expr]) -> None:
        """Add the products of all words to the sums."""
        code, shape, weight = body.code, self.shape, body.weights["weight"]
        step = shape.depth * amx.WORDS * shape.size
        strips = [code.base(start + self._first(tile)) for tile in tiles]
        panels = [code.base(block * (shape.products * step)) for block in blocks]
        (down, right), words = shape.taps, shape.words
        below, beside = (d * words for d in shape.dilation)
        with code.loop(down) as i, code.loop(right) as j:
            tap = code.name(i * (below * shape.width) + j * beside)
            done = code.name((i * right + j) * (shape.steps * step))
            with code.loop(shape.steps) as k:
                for register, own in zip(WEIGHTS, panels, strict=False):
                    amx.load(code, register, weight, own + (done + k * step), 4 * amx.WORDS)
                for a, strip in enumerate(strips):
                    place = strip + (tap + k * shape.depth)
                    amx.load(code, POSITIONS[a], body.scratch, place, 4 * shape.distance)
                    for b in range(len(blocks)):
                        total = SUMS[SIDE * a + b]
                        amx.multiply(code, self.instruction, total, POSITIONS[a], WEIGHTS[b])

    def _first(self, tile: Expr) -> Expr:
        """The word of a strip that a tile of positions begins with."""
        shape = self.shape
        row, piece = div(tile, shape.across), mod(tile, shape.across)
        if shape.kind == "rows":
            row = row * (shape.stride[0] * shape.width * shape.words)
            return row + piece * (shape.height * shape.distance)
        return tile * (shape.height * shape.distance)

    def _finish(self, body: Body, rows: Rows, tile: Expr, block: Expr, sums: Expr) -> None:
        """Store the results of a tile of sums."""
        code, shape = body.code, self.shape
        row = code.name(rows.first + div(tile, shape.across))
        first = mod(tile, shape.across) * shape.height
        if shape.kind != "rows":
            first = row * shape.height
        first = code.name(first)
        count: Expr = shape.height
        if shape.positions % shape.height:
            count = code.name(minimum(shape.height, shape.positions - first))
        with code.loop(count) as index:
            total = load(body.scratch, sums + index * amx.WORDS, amx.WORDS)
            place = self._place(body, rows, block, row, code.name(first + index))
            self.finish(body, place, total)

    def _place(self, body: Body, rows: Rows, block: Expr, row: Expr, column: Expr) -> Place:
        """Where the output of a column of a row of the grid belongs."""
        y, rank, shape = body.output.layout, body.output.layout.rank, self.shape
        if shape.kind == "batched":
            return Place(column, block, (0,) * rank)
        axes: tuple[Expr, ...] = (row, column)
        if shape.kind == "flat":
            operands = (x.layout for x in body.inputs[1:])
            joined = (y, *operands)
            is_row = all(x.is_dense and x.spatial in ((), y.spatial) for x in joined)
            axes = (0, column) if is_row else tuple(split(column, shape.outputs))
        return Place(rows.sample, block, axes[len(axes) - rank :])
