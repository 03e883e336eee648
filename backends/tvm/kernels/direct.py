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
from cnndsl.backends.tvm.kernels.bands import Bands
from cnndsl.backends.tvm.kernels.blocking import FLOATS_OF_LINE, Blocking, Grid, choose_blocking
from cnndsl.backends.tvm.kernels.direct_tiles import DirectTiles, Task
from cnndsl.backends.tvm.kernels.windows import Window, packed
from cnndsl.backends.tvm.layout import Layout, Place, Tensor
from cnndsl.backends.tvm.tiles import best_tile
from cnndsl.backends.tvm.tir import Expr, choose
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv


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
    if call.prologue:
        weights |= Bands(call, x, grid).weights()
    if "core.bias" in call.params:
        missing = y.blocks * lanes - y.channels
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    kernel = _Direct(DirectTiles(call, window, x, tile, grid))
    return Kernel("direct", weights, kernel.write, kernel.scratch.size if call.prologue else 0)


def _after_prologue(call: Call) -> Layout:
    """The layout of a copy of the operand, with the halo that the core reads."""
    op = call.core
    halo = op.pads if isinstance(op, Conv) else ((0, 0),) * call.x.rank
    spatial = call.output.spatial if call.depthwise else call.x.spatial
    x = replace(call.x, spatial=spatial, halo=halo)
    return replace(x, batch_stride=x.blocks * x.plane)


@dataclass(frozen=True)
class _Direct:
    """The loops around the tiles."""

    tiles: DirectTiles

    def write(self, body: Body) -> None:
        """All outputs."""
        x = body.inputs[0]
        if self.tiles.call.prologue:
            x = Tensor(body.scratch, self.scratch)
            if self.tiles.grid.kind == "flat":
                self._bands(body, x)
                return
            _write_prologue(body, x)
        self._rows(body, x)

    @property
    def scratch(self) -> Layout:
        """The layout of the operand after its prologue: all of it, or a band for each core."""
        return self.bands.scratch if self.tiles.grid.kind == "flat" else self.tiles.x

    @property
    def bands(self) -> Bands:
        """The bands of a flat grid."""
        return Bands(self.tiles.call, self.tiles.x, self.tiles.grid)

    def _bands(self, body: Body, x: Tensor) -> None:
        """Rows band by band: each core applies the prologue to its bands, then reads them."""
        code, bands = body.code, self.bands
        blocking = self._blocking(bands.rows, 1, (bands.rows, self.tiles.chunks))
        with bands.walk(code) as band:
            bands.fill(body, x, band)
            with code.loop(blocking.parts) as part, code.loop(self.tiles.chunks) as chunk:
                ahead = code.name(self._next_weights(blocking, chunk))
                with code.loop(band.count) as index:
                    line = code.name(ahead + index * (blocking.lines * FLOATS_OF_LINE))
                    row = code.name(band.first + index)
                    task = Task(x, band.core, band.n, band.origin, row, chunk, part, line, blocking)
                    self.tiles.write_row(body, task)

    def _blocking(
        self, rows: int, samples: int, division: tuple[int, int] | None = None
    ) -> Blocking:
        return choose_blocking(
            self.tiles.call,
            self.tiles.window,
            self.tiles.tile,
            self.tiles.grid,
            self.tiles.x,
            rows,
            samples,
            division,
        )

    def _rows(self, body: Body, x: Tensor) -> None:
        """Compute all rows of the grid."""
        code, rows = body.code, self.tiles.grid.rows
        samples = 1 if self.tiles.grid.kind == "batched" else self.tiles.call.output.batch
        blocking = self._blocking(rows, samples)
        chunks = self.tiles.chunks // blocking.chunks
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
                    task = Task(x, n, n, 0, row, chunk, part, code.name(line), blocking)
                    self.tiles.write_row(body, task)

    def _next_weights(self, blocking: Blocking, inner: Expr) -> Expr:
        """Distance from the weights of a part and chunk to those that are read after them."""
        following = self.tiles.window.inner * self.tiles.window.panel(self.tiles.tile.blocks)
        part = blocking.depth * self.tiles.window.panel(self.tiles.tile.blocks)
        wrapped = part - (blocking.chunks - 1) * following
        return choose(inner == blocking.chunks - 1, wrapped, following)


def _write_prologue(body: Body, x: Tensor) -> None:
    """Fill a tensor with the operand after its prologue, zeros around it."""
    code, layout = body.code, x.layout
    *rows, columns = layout.spatial or (1,)

    def write(n: Expr, block: Expr, outer: Sequence[Expr]) -> None:
        x.clear_halo_once(code, n, block, outer)
        with code.loop(columns) as column:
            place = Place(n, block, (*outer, column) if layout.spatial else ())
            x.store(code, place, body.read(place))

    if body.call.is_shuffled:
        with code.parallel(layout.batch, *rows) as (n, *outer):
            for block in range(layout.blocks):
                write(n, block, outer)
    else:
        with body.rows(layout) as (n, block, outer):
            write(n, block, outer)
