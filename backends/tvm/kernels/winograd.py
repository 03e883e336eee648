"""Winograd convolution with stride 1: F(m, r) on each axis, such as F(4x4, 3x3) and F(1x4, 1x7).

Tiles of outputs are computed from tiles of inputs: Y = A^T [(G g G^T) * (B^T d B)] A, with
(m + r - 1) products for each axis in place of m * r, for each pair of channels. Summed over the
input channels the products are independent matrix products, one for each point of a tile.
Source: Lavin and Gray (2016), Fast algorithms for convolutional neural networks.

The tiles of all samples are worked through in chunks, each in three phases: the input tiles are
transformed, the matrices multiplied, the output tiles transformed back. Either each core works on
chunks of its own, whose transformed tiles stay in its cache, or all cores share the phases of one
chunk, each reading a part of the transformed weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cnndsl.backends.tvm.expressions import Expr, all_of, div, load, minimum, negated, split, vector
from cnndsl.backends.tvm.kernel import Body
from cnndsl.backends.tvm.kernels.blocking import FLOATS_OF_LINE
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.transforms import transformed_inputs, transformed_outputs
from cnndsl.backends.tvm.kernels.winograd_plan import WinogradPlan
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.tiles import Pieces
from cnndsl.backends.tvm.tir import Code
from cnndsl.ir.operators import Conv


@dataclass(frozen=True)
class _Chunk:
    """A chunk while its code is written: its first tile, and where its scratch memory starts."""

    first: Expr
    start: Expr


@dataclass(frozen=True)
class WinogradCode:
    """Writes the code of a plan."""

    plan: WinogradPlan

    def write(self, body: Body) -> None:
        """All outputs, chunk by chunk."""
        plan = self.plan
        code, tiles = body.code, plan.chunks.tiles
        count = -(-plan.samples * plan.down * plan.across // tiles)
        if not plan.chunks.private:
            with code.loop(count) as chunk:
                self._write_chunk(body, _Chunk(code.name(chunk * tiles), 0))
            return
        rounds = -(-count // plan.cores)
        with code.parallel(plan.cores) as (core,), code.loop(rounds) as index:
            chunk = code.name(core * rounds + index)
            with code.when(count % plan.cores == 0 or chunk < count):
                start = code.name(core * plan.chunk_scratch)
                self._write_chunk(body, _Chunk(code.name(chunk * tiles), start))

    def _write_chunk(self, body: Body, chunk: _Chunk) -> None:
        self._transform_inputs(body, chunk)
        self._multiply(body, chunk)
        self._transform_outputs(body, chunk)

    @contextmanager
    def _each(self, code: Code, *extents: int) -> Iterator[list[Expr]]:
        """All index tuples of a phase, shared by the cores if the chunk is."""
        plan = self.plan
        if plan.chunks.private:
            with code.box([range(extent) for extent in extents]) as indices:
                yield indices
        else:
            with code.parallel(*extents) as indices:
                yield indices

    @contextmanager
    def _tiles(
        self, code: Code, chunk: _Chunk, blocks: int
    ) -> Iterator[tuple[Expr, Expr, Expr, Expr, Expr]]:
        """Channel block, tile of the chunk, sample, row and column of all tiles that there are."""
        plan = self.plan
        total = plan.samples * plan.down * plan.across
        with self._each(code, blocks, plan.chunks.tiles) as (block, tile):
            index = code.name(chunk.first + tile)
            with code.when(total % plan.chunks.tiles == 0 or index < total):
                n, row, column = split(index, (plan.samples, plan.down, plan.across))
                yield block, tile, code.name(n), code.name(row), code.name(column)

    def _transform_inputs(self, body: Body, chunk: _Chunk) -> None:
        """scratch[point][channel block][tile] = B^T d B."""
        plan = self.plan
        code, x, op = body.code, body.inputs[0], body.call.core
        assert isinstance(op, Conv)
        (top, _), (left, _) = op.pads
        down, across = plan.transforms
        with self._tiles(code, chunk, plan.inputs) as (block, tile, n, row, column):
            corner = code.name(
                x.layout.index(n, block, (row * down.m - top, column * across.m - left))
            )
            line, place = x.layout.strides
            values = [
                [load(x.buffer, corner + i * line + j * place, plan.lanes)
                 for j in range(across.size)]
                for i in range(down.size)
            ]  # fmt: skip
            results = transformed_inputs(code, plan.transforms, values, plan.lanes)
            start = code.name(chunk.start + (block * plan.chunks.tiles + tile) * plan.lanes)
            for point, value in enumerate(v for line in results for v in line):
                code.store(body.scratch, start + point * plan.input_distance, value, plan.lanes)

    def _multiply(self, body: Body, chunk: _Chunk) -> None:
        """products[point][output block][tile] = the sum over the input channels of its group."""
        plan = self.plan
        code, tile, lanes, tiles = (
            body.code,
            plan.tile,
            plan.lanes,
            plan.chunks.tiles,
        )
        panels = plan.outputs // tile.blocks
        panel = plan.span * lanes * tile.blocks * lanes
        pieces = Pieces.of(tiles, tile.columns)
        products = chunk.start + plan.points * plan.input_distance
        with self._each(code, plan.points, panels) as (point, number):
            weights = code.name((point * panels + number) * panel)
            group = div(number, panels // plan.groups) if plan.groups > 1 else 0
            source = chunk.start + point * plan.input_distance + group * plan.span * tiles * lanes
            target = products + point * plan.output_distance + number * tile.blocks * tiles * lanes
            source, target = code.name(source), code.name(target)
            with code.loop(-(-plan.span // plan.depth)) as part:
                for column, columns in pieces.walk(code):
                    first = column * lanes
                    places = (source + first, target + first)
                    self._products(body, weights, places, part, column, columns)

    def _products(
        self,
        body: Body,
        weights: Expr,
        places: tuple[Expr, Expr],
        part: Expr,
        column: Expr,
        columns: int,
    ) -> None:
        """The products of some neighbouring tiles, of the input blocks of one part.

        `places` are where the first tile's inputs and products lie.
        """
        plan = self.plan
        source, target = places
        code, lanes, blocks, tiles = (
            body.code,
            plan.lanes,
            plan.tile.blocks,
            plan.chunks.tiles,
        )
        weight = body.weights["weight"]
        zero = vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(blocks)] for _ in range(columns)]
        sums = [
            (total, target + (b * tiles + column) * lanes)
            for column, registers in enumerate(totals)
            for b, total in enumerate(registers)
        ]
        with code.when(negated(plan.depth == plan.span or part == 0)):
            for total, index in sums:
                code.set(total, load(body.scratch, index, lanes))
        first = part * plan.depth
        with code.loop(self._depth_of(first)) as inner:
            block = code.name(first + inner)
            start = code.name(source + block * (tiles * lanes))
            row = code.name(weights + block * (lanes * blocks * lanes))
            self._ask_ahead(body, weights, block, column, columns)
            add_products(code, totals, (body.scratch, start), lanes, (weight, row), lanes, blocks)
        for total, index in sums:
            code.store(body.scratch, index, total.value, lanes)

    def _ask_ahead(
        self, body: Body, weights: Expr, block: Expr, column: Expr, columns: int
    ) -> None:
        """Ask for a share of the next panel's weights where they are larger than a cache.

        All input blocks of all tiles together ask for the whole panel, line after line: the order
        in which a CPU can foresee what is asked for next.
        """
        plan = self.plan
        if not plan.streams:
            return
        tiles, size = plan.chunks.tiles, plan.lanes**2 * plan.tile.blocks // FLOATS_OF_LINE
        done = div((column * plan.span + block * columns) * size, tiles)
        first = body.code.base(weights + (plan.span * size + done) * FLOATS_OF_LINE)
        for line in range(-(-size * columns // tiles)):
            body.code.prefetch(body.weights["weight"], first + line * FLOATS_OF_LINE)

    def _depth_of(self, first: Expr) -> Expr:
        """Input blocks of the part that starts with a block."""
        plan = self.plan
        return minimum(plan.depth, plan.span - first) if plan.span % plan.depth else plan.depth

    def _transform_outputs(self, body: Body, chunk: _Chunk) -> None:
        """y = A^T products A, and the epilogue."""
        plan = self.plan
        code, lanes = body.code, plan.lanes
        height, width = (t.size for t in plan.transforms)
        products = chunk.start + plan.points * plan.input_distance
        blocks = body.output.layout.blocks
        with self._tiles(code, chunk, blocks) as (block, tile, n, row, column):
            body.clear_halo(n, block, [row, column])
            start = code.name(products + (block * plan.chunks.tiles + tile) * lanes)
            values = [
                [
                    load(body.scratch, start + (i * width + j) * plan.output_distance, lanes)
                    for j in range(width)
                ]
                for i in range(height)
            ]
            results = transformed_outputs(code, plan.transforms, values, lanes)
            self._store(body, Place(n, block, (row, column)), results)

    def _store(self, body: Body, tile: Place, results: Sequence[Sequence[Expr]]) -> None:
        """Write a tile of outputs, as far as it lies in the map."""
        plan = self.plan
        code, lanes = body.code, plan.lanes
        down, across = tile.position
        m = [t.m for t in plan.transforms]
        bias = body.weights.get("bias")
        start = vector(0.0, lanes) if bias is None else load(bias, tile.block * lanes, lanes)
        height, width = body.output.layout.spatial
        for i, line in enumerate(results):
            row_inside = not height % m[0] or i < height % m[0] or down < height // m[0]
            for j, value in enumerate(line):
                column_inside = not width % m[1] or j < width % m[1] or across < width // m[1]
                with code.when(all_of([row_inside, column_inside])):
                    place = Place(tile.n, tile.block, (down * m[0] + i, across * m[1] + j))
                    body.write(place, value + start)
