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
from functools import partial

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.blocking import (
    FLOATS_OF_LINE,
    Blocking,
    Cut,
    Grid,
    far,
)
from cnndsl.backends.tvm.kernels.direct_tiles import DirectTiles, Task
from cnndsl.backends.tvm.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.tvm.kernels.windows import Window, packed
from cnndsl.backends.tvm.layout import Layout, Place, Tensor
from cnndsl.backends.tvm.tiles import evenly, ranked_tiles
from cnndsl.backends.tvm.tir import Expr, choose, minimum, split
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv


def candidates(call: Call) -> Iterator[Candidate]:
    """Kernels with other tiles, parts and divisions; none for an output that is not blocked."""
    if call.output.block != call.machine.lanes:
        return
    window = Window.of(call)
    x = _after_prologue(call) if call.prologue else call.x

    def depths(tiles: DirectTiles) -> list[int]:
        return _cut(tiles).depths()

    def blockings(tiles: DirectTiles, depth: int) -> list[Blocking]:
        return _cut(tiles).blockings(depth)

    for tiles, depth, blocking in by_rank(lambda: _tiles(call, window, x), depths, blockings):
        tile = f"{tiles.tile.blocks}x{tiles.grid.pieces.width}"
        name = f"direct {tile} rows {blocking.rows} chunks {blocking.chunks} depth {depth}"
        yield Candidate(name, partial(_kernel, tiles, blocking))


FAMILY = Family(candidates)


def _tiles(call: Call, window: Window, x: Layout) -> list[DirectTiles]:
    """The register tiles that differ as the outputs are walked, the best first."""
    y, machine = call.output, call.machine
    same_size = window.is_pointwise and x.spatial == y.spatial and x.rank > 0
    if math.prod(y.spatial) == 1 and y.batch > 1:
        kind, columns = "batched", y.batch
    elif same_size and not any(map(any, x.halo)):
        kind, columns = "flat", math.prod(y.spatial)
    else:
        kind, columns = "rows", (y.spatial or (1,))[-1]
    found: dict[tuple[int, int], DirectTiles] = {}
    for tile in ranked_tiles(machine, window.run, columns, exact=window.run < y.blocks):
        grid = Grid.of(kind, y.spatial, columns, tile.columns, machine.cores)
        tiles = DirectTiles(call, window, x, tile, grid)
        found.setdefault((tile.blocks, grid.pieces.width), tiles)
    return list(found.values())


def _kernel(tiles: DirectTiles, blocking: Blocking) -> Kernel:
    call, x, lanes = tiles.call, tiles.x, tiles.call.machine.lanes
    width = tiles.tile.blocks * lanes
    weights = {"weight": packed(tiles.window.weight, x.block, width), **call.weights()}
    if "core.bias" in call.params:
        missing = call.output.blocks * lanes - call.output.channels
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    kernel = _Direct(tiles, blocking)
    return Kernel("direct", weights, kernel.write, kernel.scratch.size if call.prologue else 0)


def _after_prologue(call: Call) -> Layout:
    """The layout of a copy of the operand, with the halo that the core reads."""
    op = call.core
    halo = op.pads if isinstance(op, Conv) else ((0, 0),) * call.x.rank
    x = replace(call.x, halo=halo)
    return replace(x, batch_stride=x.blocks * x.plane)


def _in_bands(tiles: DirectTiles) -> bool:
    """Whether the prologue is applied to bands of the operand."""
    return bool(tiles.call.prologue) and tiles.grid.kind == "flat"


def _share(tiles: DirectTiles) -> int:
    """Rows of a flat grid for each core."""
    return -(-tiles.grid.rows // tiles.call.machine.cores)


def _band(tiles: DirectTiles) -> int:
    """Those of them whose inputs fit the core's second-level cache, before and after."""
    row_bytes = 2 * tiles.grid.pieces.width * tiles.x.blocks * tiles.x.block * 4
    return evenly(_share(tiles), far(tiles.call.machine) / row_bytes)


def _cut(tiles: DirectTiles) -> Cut:
    """What the tasks are cut from: all rows, or a band of them."""
    given = (tiles.call, tiles.window, tiles.tile, tiles.grid, tiles.x)
    if _in_bands(tiles):
        return Cut(*given, _band(tiles), 1, one_task=True)
    samples = 1 if tiles.grid.kind == "batched" else tiles.call.output.batch
    return Cut(*given, tiles.grid.rows, samples, one_task=False)


@dataclass(frozen=True)
class _Direct:
    """The loops around the tiles."""

    tiles: DirectTiles
    blocking: Blocking

    def write(self, body: Body) -> None:
        """All outputs."""
        x = body.inputs[0]
        if self.tiles.call.prologue:
            x = Tensor(body.scratch, self.scratch)
            if _in_bands(self.tiles):
                self._bands(body, x)
                return
            _write_prologue(body, x)
        self._rows(body, x)

    @property
    def scratch(self) -> Layout:
        """The layout of the operand after its prologue: all of it, or a band for each core."""
        if self.tiles.grid.kind != "flat":
            return self.tiles.x
        columns = _band(self.tiles) * self.tiles.grid.pieces.width
        size = self.tiles.x.blocks * columns * self.tiles.x.block
        cores, none = self.tiles.call.machine.cores, ((0, 0),)
        return Layout(self.tiles.x.channels, (columns,), cores, self.tiles.x.block, none, size)

    def _bands(self, body: Body, x: Tensor) -> None:
        """Rows band by band: each core applies the prologue to its bands, then reads them."""
        code, cores, batch = body.code, self.tiles.call.machine.cores, self.tiles.call.output.batch
        share, band, blocking = _share(self.tiles), _band(self.tiles), self.blocking
        bands = code.loop(-(-share // band))
        with code.parallel(cores) as (core,), code.loop(batch) as n, bands as index:
            first = code.name(core * share + index * band)
            last = minimum(self.tiles.grid.rows, code.name(core * share + share))
            count = code.name(minimum(band, last - first))
            self._write_band(body, x, n, core, first, count)
            with code.loop(blocking.parts) as part, code.loop(self.tiles.chunks) as chunk:
                ahead = code.name(self._next_weights(blocking, chunk))
                with code.loop(count) as row:
                    line = code.name(ahead + row * (blocking.lines * FLOATS_OF_LINE))
                    task = Task(
                        x, core, n, first, code.name(first + row), chunk, part, line, blocking
                    )
                    self.tiles.write_row(body, task)

    def _write_band(
        self, body: Body, band: Tensor, n: Expr, core: Expr, first: Expr, count: Expr
    ) -> None:
        """Apply the prologue to the positions of `count` rows from `first` on."""
        code, spatial, pieces = body.code, self.tiles.x.spatial, self.tiles.grid.pieces
        start = code.name(pieces.start(first))
        columns = code.name(pieces.start(first + count) - start)
        is_dense = not any(map(any, self.tiles.call.x.halo))

        def write(block: Expr) -> None:
            with code.loop(columns) as column:
                index = start + column
                across = (*(0,) * (len(spatial) - 1), index)
                position = across if is_dense else tuple(split(code.name(index), spatial))
                value = body.read(Place(n, block, position))
                band.store(code, Place(core, block, (column,)), value)

        if body.call.is_shuffled:
            for block in range(self.tiles.x.blocks):
                write(block)
        else:
            with code.loop(self.tiles.x.blocks) as block:
                write(block)

    def _rows(self, body: Body, x: Tensor) -> None:
        """Compute all rows of the grid."""
        code, rows = body.code, self.tiles.grid.rows
        samples = 1 if self.tiles.grid.kind == "batched" else self.tiles.call.output.batch
        blocking = self.blocking
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
