"""Direct convolution: register tiles of output blocks times output columns.

Serves any kernel, stride and dilation in any number of dimensions, groups of whole blocks, and
fully connected layers, whose kernel is the whole map. A 1x1 convolution with stride 1 takes the
map as one long row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.windows import Window, packed
from cnndsl.backends.tvm.layout import Layout, Place, Tensor
from cnndsl.backends.tvm.tiles import Tile, best_tile, largest_divisor
from cnndsl.backends.tvm.tir import Expr, Register, load, split, vector
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv

TASKS_PER_CORE = 4
"""Tasks to make of a kernel, if it is large enough: what differs in time evens out."""


@dataclass(frozen=True)
class Grid:
    """How the outputs are walked: rows, one after another or in parallel, of columns.

    Flat: one row for each tile, of neighbouring positions of the whole map. Batched: one row
    whose columns are the samples. Else rows are those of the map.
    """

    kind: str
    rows: int
    columns: int


def direct(call: Call) -> Kernel | None:
    """The kernel, or None for an output that is not blocked."""
    y, lanes = call.output, call.machine.lanes
    if y.block != lanes:
        return None
    window = Window.of(call)
    x = call.x
    if call.prologue:
        x = prologue_layout(call, window)
    same_size = window.is_pointwise and x.spatial == y.spatial and x.rank > 0
    flat = same_size and not any(map(any, x.halo))
    batched = math.prod(y.spatial) == 1 and y.batch > 1
    columns = y.batch if batched else math.prod(y.spatial) if flat else (y.spatial or (1,))[-1]
    tile = best_tile(call.machine, window.run, columns)
    if flat and not batched:
        grid = Grid("flat", -(-columns // tile.columns), tile.columns)
    elif batched:
        grid = Grid("batched", 1, columns)
    else:
        grid = Grid("rows", math.prod(y.spatial[:-1]), columns)
    weights = {"weight": packed(window.weight, x.block, tile.blocks * lanes), **call.weights()}
    if "core.bias" in call.params:
        missing = y.blocks * lanes - y.channels
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    kernel = _Direct(window, x, tile, grid)
    return Kernel("direct", weights, kernel.write, x.size if call.prologue else 0)


def prologue_layout(call: Call, window: Window) -> Layout:
    """The layout of the operand after its prologue, with the halo that the window reads."""
    op = call.core
    halo = op.pads if isinstance(op, Conv) else ()
    x = replace(call.x, halo=halo or ((0, 0),) * call.x.rank)
    return replace(x, batch_stride=x.blocks * x.plane)


@dataclass(frozen=True)
class _Direct:
    window: Window
    x: Layout
    tile: Tile
    grid: Grid

    def write(self, body: Body) -> None:
        x = body.inputs[0]
        if body.call.prologue:
            x = Tensor(body.scratch, self.x)
            write_prologue(body, x)
        y, code, grid = body.output.layout, body.code, self.grid
        chunks = y.blocks // self.tile.blocks
        samples = 1 if grid.kind == "batched" else y.batch
        together = self._rows_together(y, samples * chunks, body.call.machine.cores)
        groups = grid.rows // together
        with code.parallel(samples, groups, chunks) as (n, group, chunk):
            with code.loop(together) as inner:
                row = code.name(group * together + inner)
                self._row(body, x, n, row, chunk)

    def _rows_together(self, y: Layout, others: int, cores: int) -> int:
        """Rows that one task computes: their inputs stay in the cache for all output blocks."""
        row_bytes = self.x.plane * self.x.blocks * 4 / self.grid.rows
        in_cache = 256 * 1024 / row_bytes
        parallel = self.grid.rows * others / (TASKS_PER_CORE * cores)
        return largest_divisor(self.grid.rows, min(in_cache, parallel))

    def _row(self, body: Body, x: Tensor, n: Expr, row: Expr, chunk: Expr) -> None:
        code, y, tile, grid = body.code, body.output.layout, self.tile, self.grid
        with code.when(True if isinstance(row, int) else row == 0):
            for b in range(tile.blocks):
                self._clear(body, n, chunk * tile.blocks + b)
        if grid.kind == "flat":
            total = math.prod(y.spatial)
            rest = total - (grid.rows - 1) * tile.columns
            if rest == tile.columns:
                self._tile(body, x, n, row, 0, chunk, tile.columns)
            else:
                with code.when(row < grid.rows - 1):
                    self._tile(body, x, n, row, 0, chunk, tile.columns)
                with code.when(row == grid.rows - 1):
                    self._tile(body, x, n, row, 0, chunk, rest)
            return
        full, rest = divmod(grid.columns, tile.columns)
        with code.loop(full) as t:
            first = code.name(t * tile.columns)
            self._tile(body, x, n, row, first, chunk, tile.columns)
        if rest:
            self._tile(body, x, n, row, full * tile.columns, chunk, rest)

    def _clear(self, body: Body, n: Expr, block: Expr) -> None:
        if self.grid.kind == "batched":
            with body.code.loop(body.output.layout.batch) as sample:
                body.clear_halo(sample, block, [])
        else:
            body.clear_halo(n, block, [])

    def _place(self, y: Layout, n: Expr, row: Expr, column: Expr, block: Expr) -> Place:
        """Where the output of a row and a column belongs."""
        if self.grid.kind == "flat":
            index = row * self.tile.columns + column
            return Place(n, block, tuple(split(index, y.spatial)))
        if self.grid.kind == "batched":
            return Place(column, block, (0,) * y.rank)
        outer = split(row, y.spatial[:-1])
        return Place(n, block, (*outer, column) if y.spatial else ())

    def _tile(
        self, body: Body, x: Tensor, n: Expr, row: Expr, first: Expr, chunk: Expr, columns: int
    ) -> None:
        """Compute and store one tile."""
        code, y, blocks = body.code, body.output.layout, self.tile.blocks
        start, step = self._input(y, n, row, first)
        totals = [
            [code.register(self._initial(body, chunk, b), y.block) for b in range(blocks)]
            for _ in range(columns)
        ]
        self._products(body, x, code.name(start), step, chunk, totals)
        for column, registers in enumerate(totals):
            for b, total in enumerate(registers):
                place = self._place(y, n, row, first + column, chunk * blocks + b)
                body.write(place, total.value)

    def _initial(self, body: Body, chunk: Expr, b: int) -> Expr:
        lanes = body.output.layout.block
        if "bias" not in body.weights:
            return vector(0.0, lanes)
        return load(body.weights["bias"], (chunk * self.tile.blocks + b) * lanes, lanes)

    def _input(self, y: Layout, n: Expr, row: Expr, first: Expr) -> tuple[Expr, int]:
        """Index of the first input number of a tile, and the distance of its columns."""
        x, window = self.x, self.window
        if self.grid.kind == "flat":
            index = x.index(n, 0, (0,) * x.rank)
            return index + row * (self.tile.columns * x.block), x.block
        corner = tuple(-before for before in window.before)
        if self.grid.kind == "batched":
            return x.index(first, 0, corner), x.batch_stride
        if not y.spatial:
            return x.index(n, 0, corner), 0
        outer = (*split(row, y.spatial[:-1]), first)
        position = [i * s + c for i, s, c in zip(outer, window.stride, corner, strict=True)]
        return x.index(n, 0, position), window.stride[-1] * x.strides[-1]

    def _products(
        self,
        body: Body,
        x: Tensor,
        start: Expr,
        step: int,
        chunk: Expr,
        totals: Sequence[Sequence[Register]],
    ) -> None:
        """Add the products of all input channels and kernel positions to the registers."""
        code, window, layout = body.code, self.window, self.x
        _, channels, *kernel = window.weight.shape
        inner = -(-channels // layout.block)
        outputs = self.tile.blocks * body.output.layout.block
        taps = math.prod(kernel) * layout.block * outputs
        first_block = window.first_block(chunk * self.tile.blocks)
        first = code.name(start + first_block * layout.plane)
        weights = code.name(chunk * (inner * taps))
        whole, rest = divmod(channels, layout.block)
        for blocks, offset, lanes in ((whole, 0, layout.block), (1 if rest else 0, whole, rest)):
            if not blocks:
                continue
            with code.loop(blocks) as block, code.box([range(k) for k in kernel]) as offsets:
                index = first + (offset + block) * layout.plane
                number: Expr = 0
                axes = zip(offsets, kernel, window.dilation, layout.strides, strict=True)
                for o, k, d, stride in axes:
                    index = index + o * (d * stride)
                    number = number * k + o
                tap = (offset + block) * taps + number * (layout.block * outputs)
                tap = code.name(weights + tap)
                start = (x.buffer, code.name(index))
                add_products(code, totals, start, step, (body.weights["weight"], tap), lanes)


def write_prologue(body: Body, x: Tensor) -> None:
    """Fill a tensor with the operand after its prologue, zeros around it."""
    code, layout = body.code, x.layout
    *outer, columns = layout.spatial or (1,)
    with code.parallel(layout.batch, layout.blocks, *outer) as (n, block, *position):
        x.clear_halo_once(code, n, block, position)
        with code.loop(columns) as column:
            place = Place(n, block, (*position, column) if layout.spatial else ())
            x.store(code, place, body.read(place))


