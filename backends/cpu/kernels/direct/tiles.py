"""The register tiles of a direct convolution: a few output blocks times a few output columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    all_of,
    div,
    from_lane,
    load,
    minimum,
    mod,
    negated,
    split,
    vector,
)
from cnndsl.backends.cpu.codegen.layout import Layout, Place, Tensor
from cnndsl.backends.cpu.codegen.sums import Range
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.direct.blocking import Blocking, Cut, Grid, starts_with_sum
from cnndsl.backends.cpu.kernels.direct.products import (
    FLOATS_OF_LINE,
    LONG,
    SHORT,
    Ahead,
    Totals,
    add_in_parts,
    add_products,
)
from cnndsl.backends.cpu.kernels.direct.windows import Window, packed
from cnndsl.backends.cpu.kernels.kernel import Body, Call
from cnndsl.backends.cpu.kernels.tiles import Tile
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.native.packing import FLOAT, Weight
from cnndsl.ir.expressions import Expression


@dataclass(frozen=True)
class Task:
    """One row of outputs of some blocks: of sample `n`, row `row` of the grid, chunk `chunk`.

    Sample `source` of `x` starts with number `origin` of each channel block: it can be a band of
    the operand. Only the input blocks of one part are gone through. `asked` is the distance from
    the part's first weight to the first of those that the row asks for.
    """

    x: Tensor
    source: Expr
    n: Expr
    origin: Expr
    row: Expr
    chunk: Expr
    part: Expr
    asked: Expr
    blocking: Blocking

    @property
    def is_first(self) -> Expr:
        """Whether the sums start here."""
        return True if self.blocking.parts == 1 else self.part == 0

    @property
    def is_last(self) -> Expr:
        """Whether the sums are complete after this part."""
        return True if self.blocking.parts == 1 else self.part == self.blocking.parts - 1


@dataclass(frozen=True)
class DirectTiles:
    """`x` is the layout of the operand as the window reads it, in `words` or number by number."""

    call: Call[Any]
    window: Window
    x: Layout
    tile: Tile
    grid: Grid
    words: Words | None

    @property
    def chunks(self) -> int:
        """Tiles of output blocks; the last computes only what is left."""
        return -(-self.call.output.blocks // self.tile.blocks)

    def write_row(self, body: Body, task: Task) -> None:
        """Compute and store the task's row."""
        code, y, pieces = body.code, body.output.layout, self.grid.pieces
        if any(map(any, y.halo)):
            with code.when(all_of([task.row == 0, task.is_first])):
                self._clear_halo(body, task)
        if self.grid.kind != "flat":
            for first, width in pieces.walk(code):
                self._tile(body, task, first, width)
            return
        is_wide = pieces.is_wide(task.row)
        with code.when(is_wide):
            self._tile(body, task, 0, pieces.width)
        if is_wide is not True:
            with code.when(negated(is_wide)):
                for first, width in pieces.narrow(code, task.row):
                    self._tile(body, task, first, width)

    def _clear_halo(self, body: Body, task: Task) -> None:
        y, blocks = body.output, self.tile.blocks
        samples = y.layout.batch if self.grid.kind == "batched" else 1
        with body.code.loop(samples) as sample, body.code.loop(blocks) as b:
            n = sample if samples > 1 else task.n
            block = task.chunk * blocks + b
            with body.code.when(self._has(block)):
                y.clear_halo(body.code, n, block)

    def _tile(self, body: Body, task: Task, first: Expr, columns: int) -> None:
        """Compute and store some columns of a row from `first` on."""
        rest = self.call.output.blocks % self.tile.blocks
        if not rest:
            self._blocks(body, task, first, columns, self.tile.blocks)
            return
        is_last = task.chunk == self.chunks - 1
        with body.code.when(negated(is_last)):
            self._blocks(body, task, first, columns, self.tile.blocks)
        with body.code.when(is_last):
            self._blocks(body, task, first, columns, rest)

    def _blocks(self, body: Body, task: Task, first: Expr, columns: int, count: int) -> None:
        """The same for the first `count` blocks of the task's chunk."""
        code, lanes, y = body.code, body.output.layout.block, body.output
        zero = vector(0.0, lanes)
        blocks = range(count)
        for group in self._groups(code, task):
            totals = [[code.register(zero, lanes) for _ in blocks] for _ in range(columns)]
            with code.when(task.is_first):
                for place, total in self._outputs(body, task, first, totals):
                    code.set(total, self._initial(body, place))
            start, step = self._input(task, first)
            self._products(body, task, code.name(start), step, totals, group)
            with code.when(negated(task.is_first)):
                for place, total in self._outputs(body, task, first, totals):
                    code.set(total, total.value + y.load(place))
            with code.when(task.is_last):
                for place, total in self._outputs(body, task, first, totals):
                    value = body.finished(total.value, place, self._started)
                    self._store(body, place, value, group)
            with code.when(negated(task.is_last)):
                for place, total in self._outputs(body, task, first, totals):
                    y.store(code, place, total.value)

    def _outputs(
        self, body: Body, task: Task, first: Expr, totals: Totals
    ) -> Iterator[tuple[Place, Register]]:
        """The place and the sum of each output of a tile."""
        for b in range(len(totals[0])):
            block = task.chunk * self.tile.blocks + b
            for column, registers in enumerate(totals):
                yield self._place(task, first + column, block), registers[b]

    def _has(self, block: Expr) -> Expr:
        """Whether there is an output block of that number."""
        blocks = self.call.output.blocks
        return True if blocks % self.tile.blocks == 0 else block < blocks

    @property
    def _started(self) -> int:
        """Steps of the epilogue that the sums start with: a join by addition."""
        return int(starts_with_sum(self.call))

    def _initial(self, body: Body, place: Place) -> Expr:
        lanes = body.output.layout.block
        bias = body.weights.get("bias")
        start = None if bias is None else load(bias, place.block * lanes, lanes)
        if not self._started:
            return vector(0.0, lanes) if start is None else start
        other = body.repeated(body.inputs[len(body.inputs) - self.call.joins], place)
        return other if start is None else start + other

    def _place(self, task: Task, column: Expr, block: Expr) -> Place:
        """Where the output of a column of the task's row belongs."""
        spatial = self.call.output.spatial
        if self.grid.kind == "flat":
            index = self.grid.pieces.start(task.row) + column
            joined = (self.call.output, *self.call.inputs[1:])
            if all(y.is_dense and y.spatial in ((), spatial) for y in joined):
                return Place(task.n, block, (*(0,) * (len(spatial) - 1), index))
            return Place(task.n, block, tuple(split(index, spatial)))
        if self.grid.kind == "batched":
            return Place(column, block, (0,) * len(spatial))
        outer = split(task.row, spatial[:-1])
        return Place(task.n, block, (*outer, column) if spatial else ())

    def _input(self, task: Task, first: Expr) -> tuple[Expr, int]:
        """Index of the first input number of a tile, and the distance of its columns."""
        x, window, spatial = task.x.layout, self.window, self.call.output.spatial
        if self.grid.kind == "flat":
            start = x.index(task.source, 0, (0,) * x.rank) - task.origin
            return start + (self.grid.pieces.start(task.row) + first) * x.block, x.block
        corner = tuple(-before for before in window.before)
        if self.grid.kind == "batched":
            return x.index(task.source + first, 0, corner) - task.origin, x.batch_stride
        if not spatial:
            return x.index(task.source, 0, corner) - task.origin, 0
        position = window.corner((*split(task.row, spatial[:-1]), first))
        start = x.index(task.source, 0, position) - task.origin
        return start, window.stride[-1] * x.strides[-1]

    def _products(
        self,
        body: Body,
        task: Task,
        start: Expr,
        step: int,
        totals: Totals,
        group: Expr | None = None,
    ) -> None:
        """Add the products of all input channels and kernel positions to the registers.

        Of a `group` only those of its channels.
        """
        code, window, blocks = body.code, self.window, self.tile.blocks
        _, channels, *kernel = window.weight.shape
        block_size, taps = window.panel(blocks), math.prod(kernel)
        first = code.name(window.first_block(task.chunk * blocks))
        weights = code.name(task.chunk * (window.inner * block_size))
        part_start = task.part * task.blocking.depth
        asked = code.name(weights + part_start * block_size + task.asked)
        whole, rest = divmod(channels, window.block)
        start_block, count = self._blocks_read(code, task, group)
        most = window.inner if window.is_sparse else min(task.blocking.depth, whole)

        def add(sums: Totals, block: Expr, lanes: int, offsets: Sequence[Expr]) -> None:
            index = start + self._block_start(task, first + block)
            tap: Expr = 0
            axes = zip(offsets, kernel, window.dilation, self.x.strides, strict=True)
            for offset, size, dilation, stride in axes:
                index = index + offset * (dilation * stride)
                tap = tap * size + offset
            row = code.name(weights + block * block_size + tap * (block_size // taps))
            ahead = self._ahead(body, task, asked, (block - part_start) * taps + tap, row)
            inputs, packed = (task.x.buffer, code.name(index)), (body.weights["weight"], row)
            self._multiply(code, sums, inputs, step, packed, lanes, ahead)

        def add_few(sums: Totals, offsets: Sequence[Expr]) -> None:
            for block in range(channels):
                add(sums, block, 1, offsets)

        def add_whole(sums: Totals, index: Sequence[Expr]) -> None:
            add(sums, start_block + index[0], window.block, index[1:])

        def add_rest(sums: Totals, offsets: Sequence[Expr]) -> None:
            add(sums, whole, rest, offsets)

        positions = self._positions(code)
        longest = self._longest(totals)
        is_few = window.block == 1 and channels < FLOATS_OF_LINE
        if is_few and not self._keeps_groups_apart:
            add_in_parts(code, totals, positions, channels, longest, add_few)
            return
        if whole:
            axes = [Range(0, count, most), *positions]
            add_in_parts(code, totals, axes, window.block, longest, add_whole)
        if rest:
            with code.when(task.is_last):
                add_in_parts(code, totals, positions, rest, longest, add_rest)

    def _positions(self, code: Code) -> list[Range]:
        """Those of the kernel."""
        return [Range.whole(size) for size in self.window.kernel]

    @property
    def _keeps_groups_apart(self) -> bool:
        """Whether the products of a group must not reach the sums of others in the same vector.

        Its weights for those are zero, which does not make zeros of what is not finite.
        """
        return self.window.mixes_groups

    def _groups(self, code: Code, task: Task) -> Iterator[Expr | None]:
        """None for a vector whose sums are formed together, else its groups, in a loop.

        What follows is written once for each of the two, where there are both.
        """
        if not self._keeps_groups_apart:
            yield None
            return
        first, stop = (code.name(group) for group in self.window.groups_of(task.chunk))
        is_mixed: Expr = True
        if self.window.size > self.window.lanes:
            is_mixed = stop - first > 1
            with code.when(negated(is_mixed)):
                yield None
        with code.when(is_mixed), code.loop(stop - first) as index:
            yield code.name(first + index)

    def _blocks_read(self, code: Code, task: Task, group: Expr | None) -> tuple[Expr, Expr]:
        """The first input block that is gone through, and how many are.

        They are counted from the first one that is packed.
        """
        window, depth = self.window, task.blocking.depth
        if not window.is_sparse:
            start = task.part * depth
            return start, minimum(depth, window.weight.shape[1] // window.block - start)
        begin, end = window.reads(task.chunk) if group is None else window.read_by(group)
        return code.name(begin - window.first_block(task.chunk)), end - begin

    def _store(self, body: Body, place: Place, value: Expr, group: Expr | None) -> None:
        """Store a vector, or its lanes that are filters of the group."""
        if group is not None:
            size, lanes = self.window.size, self.window.lanes
            first = group * size - place.block * lanes
            before = body.output.load(place)
            is_last = group == self.window.groups - 1
            behind = tirx.Select(is_last, tirx.const(lanes, "int32"), first + size)
            value = from_lane(first, from_lane(behind, before, value, lanes), before, lanes)
        body.output.store(body.code, place, value)

    def _longest(self, totals: Totals) -> int:
        """Products that are added up in one register: all, where results have fewer bits."""
        if self.words:
            return math.prod(self.window.weight.shape[1:])
        return SHORT if len(totals) == 1 else LONG

    def _multiply(
        self,
        code: Code,
        sums: Totals,
        inputs: tuple[Any, Expr],
        step: int,
        weights: tuple[Any, Expr],
        channels: int,
        ahead: Ahead | None,
    ) -> None:
        """Add the products of some channels of an input block at a kernel position."""
        blocks = self.tile.blocks
        if self.words:
            overlap = self.x.block < self.window.block
            self.words.add_products(
                code, sums, inputs, step, weights, channels, blocks, ahead, overlap=overlap
            )
        else:
            add_products(code, sums, inputs, step, weights, channels, blocks, ahead)

    @property
    def line(self) -> int:
        """Weights of a line of the cache."""
        return FLOATS_OF_LINE * FLOAT // (self.words.dtype.bytes if self.words else FLOAT)

    def packed(self) -> Weight | Expression:
        """The weight as the products read it."""
        block, width = self.window.block, self.tile.blocks * self.call.machine.lanes
        form = self.words.packed if self.words else packed
        return form(self.window.weight, block, width)

    def cut(self, rows: int, samples: int, *, one_task: bool) -> Cut:
        """What tasks are cut from: some rows of some samples."""
        given = self.call, self.window, self.tile, self.grid, self.x, rows, samples
        return Cut(*given, one_task=one_task, words=self.words)

    def _ahead(self, body: Body, task: Task, asked: Expr, done: Expr, row: Expr) -> Ahead | None:
        """The weights to ask for with the products of an input block and a kernel position.

        `asked` is the first number that the task's row asks for, `done` how many such products
        the row has computed, `row` the first number of their weights.
        """
        weight, lines = body.weights["weight"], task.blocking.lines
        line = self.line
        if lines:
            return Ahead.of(body.code, weight, asked + done * (lines * line), lines, line)
        if task.blocking.distance:
            numbers = self.window.panel(self.tile.blocks) // math.prod(self.window.kernel)
            start = row + task.blocking.distance * line
            return Ahead.of(body.code, weight, start, numbers // line, line)
        return None

    def _block_start(self, task: Task, block: Expr) -> Expr:
        """Distance from the first input number of a tile to that of an input block."""
        layout, size = task.x.layout, self.window.block
        parts = max(1, layout.block // size)
        return div(block, parts) * layout.plane + mod(block, parts) * size
