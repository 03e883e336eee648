"""Direct convolution: register tiles of output blocks times output columns.

Serves any kernel, stride and dilation in any number of dimensions, groups, and fully connected
layers, whose kernel is the whole map. A 1x1 convolution with stride 1 takes the map as one long
row. A prologue is not applied in the innermost loop, which would repeat it for every output
block, but to a copy of the operand: in bands that stay in the cache if the map is one row, else
to the whole operand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.windows import Window, packed
from cnndsl.backends.tvm.layout import Layout, Place, Tensor
from cnndsl.backends.tvm.tiles import Tile, best_tile, evenly
from cnndsl.backends.tvm.tir import Expr, Register, all_of, load, split, vector
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv

TASKS_PER_CORE = 4
"""Tasks to make of a kernel, if it is large enough: what differs in time evens out."""
IN_CACHE = 256 * 1024
"""Bytes of inputs that stay in the second-level cache of a core beside the weights."""


@dataclass(frozen=True)
class Grid:
    """How the outputs are walked: rows, one after another or in parallel, of columns.

    Flat: one row for each tile, of neighbouring positions of the whole map. Batched: one row
    whose columns are the samples. Else rows are those of the map.
    """

    kind: str
    rows: int
    columns: int


@dataclass(frozen=True)
class _Task:
    """One row of outputs of some blocks: of sample `n`, row `row` of the grid, chunk `chunk`.

    `local` counts the rows from the start of `x`, which can be a band of the operand.
    """

    x: Tensor
    n: Expr
    row: Expr
    local: Expr
    chunk: Expr


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
    tile = best_tile(call.machine, window.run, columns)
    if kind == "flat":
        grid = Grid(kind, -(-columns // tile.columns), tile.columns)
    else:
        grid = Grid(kind, math.prod(y.spatial[:-1]) if kind == "rows" else 1, columns)
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

    def write(self, body: Body) -> None:
        """All outputs."""
        grid, code, batch = self.grid, body.code, self.call.output.batch
        samples = 1 if grid.kind == "batched" else batch
        if not self.call.prologue:
            self._rows(body, body.inputs[0], samples)
        elif grid.kind != "flat":
            _write_prologue(body, Tensor(body.scratch, self.scratch))
            self._rows(body, Tensor(body.scratch, self.scratch), samples)
        else:
            band = Tensor(body.scratch, self.scratch)
            bands = -(-grid.rows // self._band)
            with code.loop(batch) as n, code.loop(bands) as index:
                first = code.name(index * self._band)
                self._write_band(body, band, n, first)
                self._band_rows(body, band, n, first)

    @property
    def _band(self) -> int:
        """Rows of a flat grid whose inputs fit the second-level caches after a prologue."""
        row_bytes = self.grid.columns * self.x.blocks * self.x.block * 4
        return evenly(self.grid.rows, IN_CACHE * self.call.machine.cores / row_bytes)

    @property
    def scratch(self) -> Layout:
        """The layout of the operand after its prologue: all of it, or a band."""
        if self.grid.kind != "flat":
            return self.x
        columns = self._band * self.grid.columns
        size = self.x.blocks * columns * self.x.block
        return Layout(self.x.channels, (columns,), 1, self.x.block, ((0, 0),), size)

    def _write_band(self, body: Body, band: Tensor, n: Expr, first: Expr) -> None:
        """Apply the prologue to the positions of a band whose first row is `first`."""
        code, columns, spatial = body.code, self.grid.columns, self.x.spatial
        tasks = code.parallel(self.x.blocks, self._band)
        with tasks as (block, row), code.loop(columns) as column:
            inner = code.name(row * columns + column)
            index = code.name(first * columns + inner)
            with code.when(index < math.prod(spatial)):
                place = Place(n, block, tuple(split(index, spatial)))
                band.store(code, Place(0, block, (inner,)), body.read(place))

    def _band_rows(self, body: Body, band: Tensor, n: Expr, first: Expr) -> None:
        """Compute the rows of a band."""
        code = body.code
        chunks = self.call.output.blocks // self.tile.blocks
        with code.parallel(self._band, chunks) as (local, chunk):
            row = code.name(first + local)
            with code.when(row < self.grid.rows):
                self._row(body, _Task(band, n, row, local, chunk))

    def _rows(self, body: Body, x: Tensor, samples: int) -> None:
        """Compute all rows of the grid.

        A task takes some rows for some output blocks; tasks that follow one another read the
        same inputs, which stay in the cache.
        """
        code, rows = body.code, self.grid.rows
        chunks = self.call.output.blocks // self.tile.blocks
        row_bytes = self.x.plane * self.x.blocks * 4 / rows
        tasks = TASKS_PER_CORE * self.call.machine.cores
        together = evenly(rows, min(IN_CACHE / row_bytes, rows * samples * chunks / tasks))
        nest = code.parallel(samples, -(-rows // together), chunks)
        with nest as (n, group, chunk), code.loop(together) as inner:
            row = code.name(group * together + inner)
            with code.when(rows % together == 0 or row < rows):
                self._row(body, _Task(x, n, row, row, chunk))

    def _row(self, body: Body, task: _Task) -> None:
        code, y, tile, grid = body.code, body.output.layout, self.tile, self.grid
        if any(map(any, y.halo)):
            with code.when(all_of([task.row == 0])):
                self._clear_halo(body, task)
        if grid.kind == "flat":
            rest = math.prod(y.spatial) - (grid.rows - 1) * tile.columns
            whole = rest == tile.columns
            with code.when(whole or task.row < grid.rows - 1):
                self._tile(body, task, 0, tile.columns)
            if not whole:
                with code.when(task.row == grid.rows - 1):
                    self._tile(body, task, 0, rest)
            return
        full, rest = divmod(grid.columns, tile.columns)
        with code.loop(full) as index:
            self._tile(body, task, code.name(index * tile.columns), tile.columns)
        if rest:
            self._tile(body, task, full * tile.columns, rest)

    def _clear_halo(self, body: Body, task: _Task) -> None:
        y, blocks = body.output, self.tile.blocks
        samples = y.layout.batch if self.grid.kind == "batched" else 1
        with body.code.loop(samples) as sample, body.code.loop(blocks) as b:
            n = sample if samples > 1 else task.n
            y.clear_halo(body.code, n, task.chunk * blocks + b)

    def _tile(self, body: Body, task: _Task, first: Expr, columns: int) -> None:
        """Compute and store some columns of a row from `first` on."""
        code, lanes, blocks = body.code, body.output.layout.block, self.tile.blocks
        start, step = self._input(task, first)
        initial = [self._initial(body, task.chunk * blocks + b) for b in range(blocks)]
        totals = [[code.register(value, lanes) for value in initial] for _ in range(columns)]
        self._products(body, task, code.name(start), step, totals)
        for column, registers in enumerate(totals):
            for b, total in enumerate(registers):
                block = task.chunk * blocks + b
                body.write(self._place(task, first + column, block), total.value)

    def _initial(self, body: Body, block: Expr) -> Expr:
        lanes = body.output.layout.block
        bias = body.weights.get("bias")
        return vector(0.0, lanes) if bias is None else load(bias, block * lanes, lanes)

    def _place(self, task: _Task, column: Expr, block: Expr) -> Place:
        """Where the output of a column of the task's row belongs."""
        spatial = self.call.output.spatial
        if self.grid.kind == "flat":
            index = task.row * self.tile.columns + column
            return Place(task.n, block, tuple(split(index, spatial)))
        if self.grid.kind == "batched":
            return Place(column, block, (0,) * len(spatial))
        outer = split(task.row, spatial[:-1])
        return Place(task.n, block, (*outer, column) if spatial else ())

    def _input(self, task: _Task, first: Expr) -> tuple[Expr, int]:
        """Index of the first input number of a tile, and the distance of its columns."""
        x, window, spatial = task.x.layout, self.window, self.call.output.spatial
        if self.grid.kind == "flat":
            start = x.index(task.n, 0, (0,) * x.rank)
            return start + task.local * (self.tile.columns * x.block), x.block
        corner = tuple(-before for before in window.before)
        if self.grid.kind == "batched":
            return x.index(first, 0, corner), x.batch_stride
        if not spatial:
            return x.index(task.n, 0, corner), 0
        outer = (*split(task.row, spatial[:-1]), first)
        position = [i * s + c for i, s, c in zip(outer, window.stride, corner, strict=True)]
        return x.index(task.n, 0, position), window.stride[-1] * x.strides[-1]

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
        _, channels, *kernel = window.weight.shape
        tap_size = layout.block * self.tile.blocks * body.output.layout.block
        block_size = math.prod(kernel) * tap_size
        blocks = -(-channels // layout.block)
        source = start + window.first_block(task.chunk * self.tile.blocks) * layout.plane
        first = code.name(source)
        weights = code.name(task.chunk * (blocks * block_size))
        whole, rest = divmod(channels, layout.block)
        for before, count, lanes in ((0, whole, layout.block), (whole, min(rest, 1), rest)):
            if not count:
                continue
            with code.loop(count) as block, code.box([range(k) for k in kernel]) as offsets:
                index = first + (before + block) * layout.plane
                tap: Expr = 0
                axes = zip(offsets, kernel, window.dilation, self.x.strides, strict=True)
                for offset, size, dilation, stride in axes:
                    index = index + offset * (dilation * stride)
                    tap = tap * size + offset
                row = code.name(weights + (before + block) * block_size + tap * tap_size)
                inputs = (task.x.buffer, code.name(index))
                add_products(code, totals, inputs, step, (body.weights["weight"], row), lanes)


def _write_prologue(body: Body, x: Tensor) -> None:
    """Fill a tensor with the operand after its prologue, zeros around it."""
    code, layout = body.code, x.layout
    *outer, columns = layout.spatial or (1,)
    with code.parallel(layout.batch, layout.blocks, *outer) as (n, block, *position):
        x.clear_halo_once(code, n, block, position)
        with code.loop(columns) as column:
            place = Place(n, block, (*position, column) if layout.spatial else ())
            x.store(code, place, body.read(place))
