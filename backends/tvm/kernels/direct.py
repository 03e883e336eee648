"""Direct convolution: register tiles of output blocks times output columns.

Serves any kernel, stride and dilation in any number of dimensions, groups, and fully connected
layers, whose kernel is the whole map. A 1x1 convolution with stride 1 takes the map as one long
row. A prologue is not applied in the innermost loop, which would repeat it for every output
block, but to a copy of the operand: in bands that stay in the cache if the map is one row, else
to the whole operand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.blocking import (
    FLOATS_OF_LINE,
    Blocking,
    Grid,
    choose_blocking,
    far,
    starts_with_sum,
)
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.windows import Window, packed
from cnndsl.backends.tvm.layout import Layout, Place, Tensor
from cnndsl.backends.tvm.tiles import Tile, best_tile, evenly
from cnndsl.backends.tvm.tir import (
    Expr,
    Register,
    all_of,
    choose,
    load,
    minimum,
    negated,
    split,
    vector,
)
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv


@dataclass(frozen=True)
class _Task:
    """One row of outputs of some blocks: of sample `n`, row `row` of the grid, chunk `chunk`.

    Sample `source` of `x` starts with what row `first` reads: it can be a band of the operand.
    Only the input blocks of one part are gone through. `ahead` is the distance from a weight to
    one that is read later and should be asked for.
    """

    x: Tensor
    source: Expr
    n: Expr
    first: Expr
    row: Expr
    chunk: Expr
    part: Expr
    ahead: Expr
    blocking: Blocking

    @property
    def is_first(self) -> Expr:
        """Whether the sums start here."""
        return True if self.blocking.parts == 1 else self.part == 0

    @property
    def is_last(self) -> Expr:
        """Whether the sums are complete after this part."""
        return True if self.blocking.parts == 1 else self.part == self.blocking.parts - 1


def direct(call: Call) -> Kernel | None:
    """The kernel, or None for an output that is not blocked."""
    y, lanes = call.output, call.machine.lanes
    if y.block != lanes:
        return None
    window = Window.of(call)
    x = _after_prologue(call) if call.prologue else call.x
    same_size = window.is_pointwise and x.spatial == y.spatial and x.rank > 0
    if math.prod(y.spatial) == 1 and y.batch > 1:
        kind, columns = "batched", y.batch
    elif same_size and not any(map(any, x.halo)):
        kind, columns = "flat", math.prod(y.spatial)
    else:
        kind, columns = "rows", (y.spatial or (1,))[-1]
    tile = best_tile(call.machine, window.run, columns, exact=window.run < y.blocks)
    grid = Grid.of(kind, y.spatial, columns, tile.columns, call.machine.cores)
    weights = {"weight": packed(window.weight, x.block, tile.blocks * lanes), **call.weights()}
    if "core.bias" in call.params:
        missing = y.blocks * lanes - y.channels
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    kernel = _Direct(call, window, x, tile, grid)
    return Kernel("direct", weights, kernel.write, kernel.scratch.size if call.prologue else 0)


def _after_prologue(call: Call) -> Layout:
    """The layout of a copy of the operand, with the halo that the core reads."""
    op = call.core
    halo = op.pads if isinstance(op, Conv) else ((0, 0),) * call.x.rank
    x = replace(call.x, halo=halo)
    return replace(x, batch_stride=x.blocks * x.plane)


@dataclass(frozen=True)
class _Direct:
    """`x` is the layout of the operand as the window reads it."""

    call: Call
    window: Window
    x: Layout
    tile: Tile
    grid: Grid

    @property
    def chunks(self) -> int:
        """Tiles of output blocks; the last computes only what is left."""
        return -(-self.call.output.blocks // self.tile.blocks)

    def write(self, body: Body) -> None:
        """All outputs."""
        x = body.inputs[0]
        if self.call.prologue:
            x = Tensor(body.scratch, self.scratch)
            if self.grid.kind == "flat":
                self._bands(body, x)
                return
            _write_prologue(body, x)
        self._rows(body, x)

    @property
    def _share(self) -> int:
        """Rows of a flat grid for each core."""
        return -(-self.grid.rows // self.call.machine.cores)

    @property
    def _band(self) -> int:
        """Those of them whose inputs fit the core's second-level cache, before and after."""
        row_bytes = 2 * self.grid.pieces.width * self.x.blocks * self.x.block * 4
        return evenly(self._share, far(self.call.machine) / row_bytes)

    @property
    def scratch(self) -> Layout:
        """The layout of the operand after its prologue: all of it, or a band for each core."""
        if self.grid.kind != "flat":
            return self.x
        columns = self._band * self.grid.pieces.width
        size = self.x.blocks * columns * self.x.block
        cores, none = self.call.machine.cores, ((0, 0),)
        return Layout(self.x.channels, (columns,), cores, self.x.block, none, size)

    def _bands(self, body: Body, x: Tensor) -> None:
        """Rows band by band: each core applies the prologue to its bands, then reads them."""
        code, cores, batch = body.code, self.call.machine.cores, self.call.output.batch
        share, band = self._share, self._band
        blocking = self._blocking(band, 1, (band, self.chunks))
        bands = code.loop(-(-share // band))
        with code.parallel(cores) as (core,), code.loop(batch) as n, bands as index:
            first = code.name(core * share + index * band)
            last = minimum(self.grid.rows, code.name(core * share + share))
            count = code.name(minimum(band, last - first))
            self._write_band(body, x, n, core, first, count)
            with code.loop(blocking.parts) as part, code.loop(self.chunks) as chunk:
                ahead = code.name(self._next_weights(blocking, chunk))
                with code.loop(count) as row:
                    line = code.name(ahead + row * (blocking.lines * FLOATS_OF_LINE))
                    task = _Task(
                        x, core, n, first, code.name(first + row), chunk, part, line, blocking
                    )
                    self._row(body, task)

    def _write_band(
        self, body: Body, band: Tensor, n: Expr, core: Expr, first: Expr, count: Expr
    ) -> None:
        """Apply the prologue to the positions of `count` rows from `first` on."""
        code, spatial, pieces = body.code, self.x.spatial, self.grid.pieces
        start = code.name(pieces.start(first))
        columns = code.name(pieces.start(first + count) - start)
        is_dense = not any(map(any, self.call.x.halo))
        with code.loop(self.x.blocks) as block, code.loop(columns) as column:
            index = start + column
            across = (*(0,) * (len(spatial) - 1), index)
            position = across if is_dense else tuple(split(code.name(index), spatial))
            value = body.read(Place(n, block, position))
            band.store(code, Place(core, block, (column,)), value)

    def _blocking(
        self, rows: int, samples: int, division: tuple[int, int] | None = None
    ) -> Blocking:
        return choose_blocking(
            self.call, self.window, self.tile, self.grid, self.x, rows, samples, division
        )

    def _rows(self, body: Body, x: Tensor) -> None:
        """Compute all rows of the grid."""
        code, rows = body.code, self.grid.rows
        samples = 1 if self.grid.kind == "batched" else self.call.output.batch
        blocking = self._blocking(rows, samples)
        chunks = self.chunks // blocking.chunks
        tasks = code.parallel(samples, -(-rows // blocking.rows), chunks)
        with (
            tasks as (n, group, outer),
            code.loop(blocking.parts) as part,
            code.loop(blocking.chunks) as inner,
        ):
            chunk = code.name(outer * blocking.chunks + inner)
            ahead = code.name(self._next_weights(blocking, inner))
            with code.loop(blocking.rows) as index:
                row = code.name(group * blocking.rows + index)
                line = ahead + index * (blocking.lines * FLOATS_OF_LINE)
                with code.when(rows % blocking.rows == 0 or row < rows):
                    task = _Task(x, n, n, 0, row, chunk, part, code.name(line), blocking)
                    self._row(body, task)

    def _next_weights(self, blocking: Blocking, inner: Expr) -> Expr:
        """Distance from the weights of a part and chunk to those that are read after them."""
        following = self.window.inner * self.window.panel(self.tile.blocks)
        part = blocking.depth * self.window.panel(self.tile.blocks)
        wrapped = part - (blocking.chunks - 1) * following
        return choose(inner == blocking.chunks - 1, wrapped, following)

    def _row(self, body: Body, task: _Task) -> None:
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
                self._tile(body, task, 0, pieces.width - 1)

    def _clear_halo(self, body: Body, task: _Task) -> None:
        y, blocks = body.output, self.tile.blocks
        samples = y.layout.batch if self.grid.kind == "batched" else 1
        with body.code.loop(samples) as sample, body.code.loop(blocks) as b:
            n = sample if samples > 1 else task.n
            block = task.chunk * blocks + b
            with body.code.when(self._has(block)):
                y.clear_halo(body.code, n, block)

    def _tile(self, body: Body, task: _Task, first: Expr, columns: int) -> None:
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

    def _blocks(self, body: Body, task: _Task, first: Expr, columns: int, count: int) -> None:
        """The same for the first `count` blocks of the task's chunk."""
        code, lanes, y = body.code, body.output.layout.block, body.output
        zero = vector(0.0, lanes)
        blocks = range(count)
        totals = [[code.register(zero, lanes) for _ in blocks] for _ in range(columns)]

        with code.when(task.is_first):
            for place, total in self._outputs(body, task, first, totals):
                code.set(total, self._initial(body, place))
        with code.when(negated(task.is_first)):
            for place, total in self._outputs(body, task, first, totals):
                code.set(total, y.load(place))
        start, step = self._input(task, first)
        self._products(body, task, code.name(start), step, totals)
        with code.when(task.is_last):
            for place, total in self._outputs(body, task, first, totals):
                y.store(code, place, body.finished(total.value, place, self._started))
        with code.when(negated(task.is_last)):
            for place, total in self._outputs(body, task, first, totals):
                y.store(code, place, total.value)

    def _outputs(
        self, body: Body, task: _Task, first: Expr, totals: Sequence[Sequence[Register]]
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
        other = body.inputs[len(body.inputs) - self.call.joins].load(place)
        return other if start is None else start + other

    def _place(self, task: _Task, column: Expr, block: Expr) -> Place:
        """Where the output of a column of the task's row belongs."""
        spatial = self.call.output.spatial
        if self.grid.kind == "flat":
            index = self.grid.pieces.start(task.row) + column
            return Place(task.n, block, tuple(split(index, spatial)))
        if self.grid.kind == "batched":
            return Place(column, block, (0,) * len(spatial))
        outer = split(task.row, spatial[:-1])
        return Place(task.n, block, (*outer, column) if spatial else ())

    def _input(self, task: _Task, first: Expr) -> tuple[Expr, int]:
        """Index of the first input number of a tile, and the distance of its columns."""
        x, window, spatial = task.x.layout, self.window, self.call.output.spatial
        if self.grid.kind == "flat":
            start = x.index(task.source, 0, (0,) * x.rank)
            pieces = self.grid.pieces
            column = pieces.start(task.row) - pieces.start(task.first)
            return start + column * x.block, x.block
        corner = tuple(-before for before in window.before)
        if self.grid.kind == "batched":
            return x.index(first, 0, corner), x.batch_stride
        if not spatial:
            return x.index(task.source, 0, corner), 0
        outer = (*split(task.row, spatial[:-1]), first)
        position = [i * s + c for i, s, c in zip(outer, window.stride, corner, strict=True)]
        return x.index(task.source, 0, position), window.stride[-1] * x.strides[-1]

    def _products(
        self,
        body: Body,
        task: _Task,
        start: Expr,
        step: int,
        totals: Sequence[Sequence[Register]],
    ) -> None:
        """Add the products of all input channels and kernel positions to the registers."""
        code, window, layout = body.code, self.window, task.x.layout
        weight = body.weights["weight"]
        _, channels, *kernel = window.weight.shape
        tap_size = layout.block * self.tile.blocks * body.output.layout.block
        block_size = window.panel(self.tile.blocks)
        source = start + window.first_block(task.chunk * self.tile.blocks) * layout.plane
        first = code.name(source)
        weights = code.name(task.chunk * (window.inner * block_size))
        whole, rest = divmod(channels, layout.block)
        start_block = task.part * task.blocking.depth
        count = minimum(task.blocking.depth, whole - start_block)
        if window.groups > 1 and window.run == 1:
            begin, end = window.reads(task.chunk)
            start_block = code.name(begin - window.first_block(task.chunk))
            count = end - begin

        def add(block: Expr, lanes: int, offsets: Sequence[Expr]) -> None:
            index = first + block * layout.plane
            tap: Expr = 0
            axes = zip(offsets, kernel, window.dilation, self.x.strides, strict=True)
            for offset, size, dilation, stride in axes:
                index = index + offset * (dilation * stride)
                tap = tap * size + offset
            row = code.name(weights + block * block_size + tap * tap_size)
            for line in range(task.blocking.lines):
                code.prefetch(weight, row + task.ahead + line * FLOATS_OF_LINE)
            inputs = (task.x.buffer, code.name(index))
            vectors = (weight, row)
            add_products(code, totals, inputs, step, vectors, lanes, self.tile.blocks)

        positions = [range(size) for size in kernel]
        if layout.block == 1:
            with code.box(positions) as offsets:
                for block in range(channels):
                    add(block, 1, offsets)
            return
        if whole:
            with code.loop(count) as block, code.box(positions) as offsets:
                add(start_block + block, layout.block, offsets)
        if rest:
            with code.when(task.is_last), code.box(positions) as offsets:
                add(whole, rest, offsets)


def _write_prologue(body: Body, x: Tensor) -> None:
    """Fill a tensor with the operand after its prologue, zeros around it."""
    code, layout = body.code, x.layout
    columns = (layout.spatial or (1,))[-1]
    with body.rows(layout) as (n, block, outer):
        x.clear_halo_once(code, n, block, outer)
        with code.loop(columns) as column:
            place = Place(n, block, (*outer, column) if layout.spatial else ())
            x.store(code, place, body.read(place))
