"""Convolutions of codes that each core copies as numbers of 16 bits before it multiplies them.

Else a word would be taken apart for every tile of outputs that reads it, which takes a fifth of the
time of the products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, cast, div, load, minimum, split
from cnndsl.backends.cpu.codegen.extents import expression
from cnndsl.backends.cpu.codegen.layout import CACHE_LINE, Layout, Tensor
from cnndsl.backends.cpu.kernels.direct.blocking import Blocking
from cnndsl.backends.cpu.kernels.direct.tiles import DirectTiles, Task
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.native.packing import FLOAT


@dataclass(frozen=True)
class Band(Layout):
    """`run` neighbouring numbers of each channel block of a map."""

    run: int = field(kw_only=True)

    @property
    def plane(self) -> int:
        """Numbers of one channel block."""
        return self.run


@dataclass(frozen=True)
class WideLoops:
    """The loops around the tiles, whose operand has numbers of 16 bits."""

    tiles: DirectTiles
    blocking: Blocking

    @property
    def _cores(self) -> int:
        return self.tiles.call.machine.cores

    @property
    def _samples(self) -> int:
        """Those that a task reads."""
        return self.tiles.x.batch if self.tiles.grid.kind == "batched" else 1

    @property
    def _groups(self) -> int:
        """Groups of rows, each of which a band serves."""
        return -(-int(self.tiles.grid.rows) // self.blocking.rows)

    @cached_property
    def band(self) -> Band:
        """Those of all cores.

        Channel blocks are an odd number of cache lines apart, so that they do not share the few
        places that a cache has for addresses which differ by a large power of two.
        """
        x = self.tiles.x
        spans = [self._span(*self._rows(group)) for group in range(self._groups)]
        line = CACHE_LINE // x.bytes
        run = line * (-(-max(stop - start for start, stop in spans) // line) | 1)
        same = {f.name: getattr(x, f.name) for f in fields(Layout)}
        batch = self._cores * self._samples
        return Band(**{**same, "batch": batch, "batch_stride": x.blocks * run}, run=run)

    @property
    def scratch(self) -> int:
        """Words of memory for all bands."""
        return int(self.band.size) * self.band.bytes // FLOAT

    def write(self, body: Body) -> None:
        """All outputs."""
        code, blocking, rows = body.code, self.blocking, self.tiles.grid.rows
        x = Tensor(body.scratch, self.band)
        for source, n, group, outer in self._tasks(body):
            first = code.name(group * blocking.rows)
            origin = code.name(self._span(first, first)[0])
            with code.loop(blocking.chunks) as inner:
                chunk = code.name(outer * blocking.chunks + inner)
                with code.loop(blocking.rows) as index:
                    row = code.name(first + index)
                    with code.when(rows % blocking.rows == 0 or row < rows):
                        task = Task(x, source, n, origin, row, chunk, 0, 0, blocking)
                        self.tiles.write_row(body, task)

    def _tasks(self, body: Body) -> Iterator[tuple[Expr, Expr, Expr, Expr]]:
        """What a core computes: the sample of its band, of the map, rows and output blocks.

        Tasks that follow one another have a band in common if their rows are the same.
        """
        code, tiles = body.code, self.tiles
        samples = 1 if tiles.grid.kind == "batched" else tiles.call.output.batch
        chunks = tiles.chunks // self.blocking.chunks
        copied = code.register(tirx.const(-1, "int32"), 1, "int32")
        tasks = code.share(self._cores, samples, self._groups, chunks)
        with tasks as (core, n, group, outer):
            source = code.name(core * self._samples)
            band = code.name((core * samples + n) * self._groups + group)
            with code.when(True if chunks == 1 else copied.value != band):
                self._copy(body, source, n, group)
                code.set(copied, expression(band))
            yield source, n, group, outer

    def _copy(self, body: Body, source: Expr, n: Expr, group: Expr) -> None:
        """Write the band of a group of rows."""
        code, x, band = body.code, body.inputs[0], self.band
        start, stop = map(code.name, self._span(*self._rows(group)))
        with code.loop(self._samples) as sample, code.loop(x.layout.blocks) as block:
            read = (n + sample) * x.layout.batch_stride + block * x.layout.plane + start
            written = (source + sample) * band.batch_stride + block * band.run
            given, made = code.base(read), code.base(written)
            with code.loop(div(stop - start, band.block)) as index:
                place = code.base(index * band.block)
                codes = load(x.buffer, given + place, band.block)
                numbers = cast(codes, band.dtype, band.block)
                code.store(body.scratch, made + place, numbers, band.block)

    def _rows(self, group: Expr) -> tuple[Expr, Expr]:
        """The first and the last row of a group."""
        first = group * self.blocking.rows
        return first, minimum(first + self.blocking.rows, self.tiles.grid.rows) - 1

    def _span(self, first: Expr, last: Expr) -> tuple[Expr, Expr]:
        """Of a channel block the first number that some rows read, and the one behind the last."""
        grid, window, x = self.tiles.grid, self.tiles.window, self.tiles.x
        spatial = self.tiles.call.output.spatial
        if grid.kind == "flat":
            return grid.pieces.start(first) * x.block, grid.pieces.start(last + 1) * x.block
        if grid.kind == "batched" or not spatial:
            return 0, x.plane
        begin = window.corner((*split(first, spatial[:-1]), 0))
        end = window.corner((*split(last, spatial[:-1]), spatial[-1] - 1))
        sizes = zip(window.kernel, window.dilation, strict=True)
        reach = [(size - 1) * dilation for size, dilation in sizes]
        farthest = [i + distance for i, distance in zip(end, reach, strict=True)]
        return x.index(0, 0, begin), x.index(0, 0, farthest) + x.block
