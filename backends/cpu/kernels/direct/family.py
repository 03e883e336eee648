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
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, choose
from cnndsl.backends.cpu.codegen.extents import Extent, mapped, nominal, parts
from cnndsl.backends.cpu.codegen.layout import Layout, Place, Tensor
from cnndsl.backends.cpu.kernels.direct.bands import Bands, is_heavy, pays
from cnndsl.backends.cpu.kernels.direct.blocking import Blocking, Cut, Grid
from cnndsl.backends.cpu.kernels.direct.division import prefers_bands
from cnndsl.backends.cpu.kernels.direct.halves import Halves
from cnndsl.backends.cpu.kernels.direct.tiles import DirectTiles, Task
from cnndsl.backends.cpu.kernels.direct.windows import Window
from cnndsl.backends.cpu.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import FAR_LOAD, LOAD, Tile, ranked_tiles
from cnndsl.backends.native.packing import FLOAT, Weight
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, Subsample
from cnndsl.ir.part import Part


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """Kernels with other tiles, parts and divisions."""
    if not _takes(call):
        return

    def depths(tiles: DirectTiles) -> list[int]:
        return _cut(tiles).depths()

    def blockings(tiles: DirectTiles, depth: int) -> list[Blocking]:
        return _cut(tiles).blockings(depth)

    for tiles, depth, blocking in by_rank(lambda: _tiles(call), depths, blockings):
        tile = f"{tiles.tile.blocks}x{tiles.grid.pieces.width}"
        kind = "thinned" if tiles.call.subsample else "direct"
        name = f"{kind} {tile} rows {blocking.rows} chunks {blocking.chunks} depth {depth}"
        yield Candidate(name, partial(_kernel, tiles, blocking))


def _takes(call: Call[Any]) -> bool:
    """Whether the outputs are blocked and not pooled, and the prologue is better done here.

    A depthwise convolution is if bands pay; before groups a shuffle is, if vectors lie in groups.
    """
    op, lanes = call.op, call.machine.lanes
    if call.output.block != lanes or call.is_pooled:
        return False
    if call.depthwise:
        return not call.is_open and pays(
            call.weight.shape, math.prod(call.output.spatial), call.machine
        )
    if call.prologue and isinstance(op, Conv) and op.groups > 1:
        return call.is_shuffled and call.x.channels // op.groups >= lanes
    return True


FAMILY = Family(candidates, _takes)


def _tiles(call: Call[Any]) -> list[DirectTiles]:
    """The register tiles that differ as the outputs are walked, the best first."""
    plain = _tiles_of(call)
    thinned = _thinned(call)
    if thinned is None:
        return plain
    return [tiles for pair in zip(_tiles_of(thinned), plain, strict=False) for tiles in pair]


def _thinned(call: Call[Any]) -> Call[Any] | None:
    """A 1x1 convolution with a stride as one without, of an operand that is thinned out before.

    None if that is not possible, or if there is too little to compute for it to pay.
    """
    op = call.op
    if not isinstance(op, Conv) or op.groups > 1 or call.prologue or call.x.rank == 0:
        return None
    if set(op.kernel) != {1} or set(op.stride) == {1} or any(map(any, op.pads)):
        return None
    if not is_heavy(call.weight.shape, call.machine):
        return None
    thinner = Part.of(Subsample(op.stride), call.core.inputs)
    dense = call.with_core(replace(op, stride=(1,) * len(op.stride)))
    return replace(dense, prologue=(thinner,))


def _tiles_of(call: Call[Any]) -> list[DirectTiles]:
    """Those of a call as it is."""
    words = Halves.of(call)
    window = Window.of(call, words.size if words else 1)
    x = _after_prologue(call) if call.prologue else call.x
    y, machine = call.output, call.machine
    same_size = window.is_pointwise and x.spatial == y.spatial and x.rank > 0
    if math.prod(y.spatial) == 1 and y.batch > 1:
        kind, columns = "batched", y.batch
    elif same_size and x.is_dense:
        kind, columns = "flat", math.prod(y.spatial)
    else:
        kind, columns = "rows", (y.spatial or (1,))[-1]
    found: dict[tuple[int, int], DirectTiles] = {}
    exact, weight = window.run < y.blocks, FAR_LOAD if machine.weights_are_far else LOAD
    ranked: Sequence[Tile]
    if words:
        ranked = words.ranked_tiles(machine, window.run, columns, exact=exact)
    else:
        ranked = ranked_tiles(machine, window.run, nominal(columns), exact=exact, weight=weight)
    for tile in ranked:
        grid = Grid.of(kind, y.spatial, columns, tile.columns, machine.cores)
        tiles = DirectTiles(call, window, x, tile, grid, words)
        found.setdefault((tile.blocks, grid.pieces.width), tiles)
    return list(found.values())


def _kernel(tiles: DirectTiles, blocking: Blocking) -> Kernel:
    call, x = tiles.call, tiles.x
    weights: dict[str, Weight | Expression] = {
        "weight": tiles.packed(),
        **call.step_weights(),
        **call.bias(),
    }
    if call.prologue:
        weights |= Bands(call, x, tiles.grid).weights()
    kernel = Loops(tiles, blocking)
    if not call.prologue:
        return Kernel("direct", weights, kernel.write)
    copy = kernel.scratch
    words = copy.size // (FLOAT // copy.bytes)
    return Kernel("direct", weights, kernel.write, words, copy.dtype)


def _after_prologue(call: Call[Any]) -> Layout:
    """The layout of a copy of the operand, with the halo that the core reads."""
    op = call.op
    halo = op.pads if isinstance(op, Conv) else ((0, 0),) * call.x.rank
    moves = call.depthwise or call.subsample
    spatial = call.output.spatial if moves else call.x.spatial
    x = replace(call.x, spatial=spatial, halo=halo)
    return replace(x, batch_stride=x.blocks * x.plane)


def _bands(tiles: DirectTiles) -> Bands | None:
    """The bands of the operand to which the prologue is applied, if it is applied to bands."""
    call = tiles.call
    if not call.prologue or tiles.grid.kind != "flat" or call.is_open:
        return None
    positions, weight = math.prod(call.output.spatial), tiles.window.weight.shape
    if call.depthwise is None and not prefers_bands(weight, positions, call.machine):
        return None
    return Bands(call, tiles.x, tiles.grid)


def _cut(tiles: DirectTiles) -> Cut:
    """What the tasks are cut from: all rows, or a band of them."""
    if tiles.call.is_open:
        call, x = tiles.call.nominal, mapped(tiles.x, Extent, nominal)
        kind, width = tiles.grid.kind, tiles.grid.pieces.width
        columns = {"flat": math.prod(x.spatial), "rows": (x.spatial or (1,))[-1]}
        grid = Grid.of(kind, call.output.spatial, columns[kind], width, call.machine.cores)
        nominally = replace(tiles, call=call, grid=grid, x=x)
        return nominally.cut(grid.rows, call.output.batch, one_task=False)
    bands = _bands(tiles)
    if bands:
        return tiles.cut(bands.rows, 1, one_task=True)
    samples = 1 if tiles.grid.kind == "batched" else tiles.call.output.batch
    return tiles.cut(tiles.grid.rows, samples, one_task=False)


@dataclass(frozen=True)
class Loops:
    """The loops around the tiles."""

    tiles: DirectTiles
    blocking: Blocking

    def write(self, body: Body) -> None:
        """All outputs."""
        body = body.computing(self.tiles.call)
        x, bands = body.inputs[0], _bands(self.tiles)
        if self.tiles.call.prologue:
            x = Tensor(body.scratch, self.scratch)
        if bands:
            self._in_bands(body, x, bands)
            return
        if self.tiles.call.prologue:
            _write_prologue(body, x)
        self._rows(body, x)

    @property
    def scratch(self) -> Layout:
        """The layout of the operand after its prologue: all of it, or a band for each core."""
        bands = _bands(self.tiles)
        return bands.scratch if bands else self.tiles.x

    def _in_bands(self, body: Body, x: Tensor, bands: Bands) -> None:
        """Rows band by band: each core applies the prologue to its bands, then reads them."""
        code, blocking = body.code, self.blocking
        with bands.walk(code) as band:
            bands.fill(body, x, band)
            with code.loop(blocking.parts) as part, code.loop(self.tiles.chunks) as chunk:
                following = code.name(self._next_weights(chunk))
                with code.loop(band.count) as index:
                    asked = code.name(following + index * self._asked)
                    row = code.name(band.first + index)
                    source = x, band.core, band.n, band.origin * x.layout.block
                    task = Task(*source, row, chunk, part, asked, blocking)
                    self.tiles.write_row(body, task)

    def _rows(self, body: Body, x: Tensor) -> None:
        """Compute all rows of the grid."""
        code, rows = body.code, self.tiles.grid.rows
        samples = 1 if self.tiles.grid.kind == "batched" else self.tiles.call.output.batch
        blocking = self.blocking
        chunks = self.tiles.chunks // blocking.chunks
        tasks = code.parallel(samples, parts(rows, blocking.rows), chunks)
        with (
            tasks as (n, group, outer),
            code.loop(blocking.parts) as part,
            code.loop(blocking.chunks) as inner,
        ):
            chunk = code.name(outer * blocking.chunks + inner)
            following = code.name(self._next_weights(inner))
            with code.loop(blocking.rows) as index:
                row = code.name(group * blocking.rows + index)
                asked = following + index * self._asked
                with code.when(rows % blocking.rows == 0 or row < rows):
                    task = Task(x, n, n, 0, row, chunk, part, code.name(asked), blocking)
                    self.tiles.write_row(body, task)

    @property
    def _asked(self) -> int:
        """Weights that a row asks for."""
        taps = math.prod(self.tiles.window.weight.shape[2:])
        return self.blocking.depth * taps * self.blocking.lines * self.tiles.line

    def _next_weights(self, inner: Expr) -> Expr:
        """Distance from the weights of a part and chunk to those that are read after them."""
        panel, last = self.tiles.window.panel(self.tiles.tile.blocks), self.blocking.chunks - 1
        following = self.tiles.window.inner * panel
        return choose(inner == last, self.blocking.depth * panel - last * following, following)


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
