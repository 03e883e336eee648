"""Winograd convolution with stride 1: F(m, r) on each axis, such as F(4x4, 3x3) and F(1x4, 1x7).

Tiles of outputs are computed from tiles of inputs: Y = A^T [(G g G^T) * (B^T d B)] A, with
(m + r - 1) products for each axis in place of m * r, for each pair of channels. Summed over the
input channels the products are independent matrix products, one for each point of a tile.
Source: Lavin and Gray (2016), Fast algorithms for convolutional neural networks.

The tiles of all samples are worked through in chunks, each in three phases: the input tiles are
transformed, the matrices multiplied, the output tiles transformed back. Either each core works on
chunks of its own, whose transformed tiles stay in its cache, or all cores share the phases of one
chunk, each reading a part of the transformed weights. `panels.py` has a third way.

Tiles of a dilated convolution are as far apart inside as its taps: see `axis.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    all_of,
    div,
    larger,
    load,
    negated,
    split,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import parts
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.direct.products import (
    FLOATS_OF_LINE,
    Ahead,
    Totals,
    add_products,
)
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.kernels.tiles import Pieces
from cnndsl.backends.cpu.kernels.winograd.plan import WinogradPlan
from cnndsl.backends.cpu.kernels.winograd.transforms import transformed_inputs, transformed_outputs
from cnndsl.ir.operators import Conv


@dataclass(frozen=True)
class Chunk:
    """A chunk while its code is written: its first tile, and where its scratch memory starts."""

    first: Expr
    start: Expr


@dataclass(frozen=True)
class Operands:
    """Where a product's numbers lie, for the chunk's first tile: inputs and products in scratch.

    `weights` are those of the part's first input block, in the `buffer`.
    """

    inputs: Expr
    products: Expr
    buffer: Any
    weights: Expr


@dataclass(frozen=True)
class Piece:
    """Neighbouring tiles of a chunk whose products are computed together."""

    column: Expr
    columns: int


Indices = AbstractContextManager[list[Expr]]
"""Loops, or tasks, over index tuples."""


@dataclass(frozen=True)
class WinogradCode:
    """Writes the code of a plan whose weights are transformed already."""

    plan: WinogradPlan

    def write(self, body: Body) -> None:
        """All outputs, chunk by chunk."""
        plan = self.plan
        code, tiles = body.code, plan.chunks.tiles
        if plan.is_shared:
            with code.loop(plan.count) as chunk:
                self._write_chunk(body, Chunk(code.name(chunk * tiles), 0))
            return
        rounds = parts(plan.count, plan.cores)
        with code.parallel(plan.cores) as (core,), code.loop(rounds) as index:
            chunk = code.name(core * rounds + index)
            with code.when(plan.count % plan.cores == 0 or chunk < plan.count):
                start = code.name(core * plan.chunk_scratch)
                self._write_chunk(body, Chunk(code.name(chunk * tiles), start))

    def _write_chunk(self, body: Body, chunk: Chunk) -> None:
        """All phases of a chunk."""
        plan = self.plan
        code, tiles = body.code, plan.chunks.tiles
        self.transform_inputs(body, chunk)
        self._multiply(body, chunk)
        places = self._each(code, body.output.layout.blocks, tiles)
        self.transform_outputs(body, chunk, places)

    def _each(self, code: Code, *extents: int) -> Indices:
        """All index tuples of a phase, shared by the cores if the chunk is."""
        if self.plan.is_shared:
            return code.parallel(*extents)
        return code.box([range(extent) for extent in extents])

    @contextmanager
    def _tiles(
        self, code: Code, chunk: Chunk, places: Indices
    ) -> Iterator[tuple[Expr, Expr, Expr, Expr, Expr]]:
        """Channel block, tile of the chunk, sample, row and column of all tiles that there are."""
        plan = self.plan
        total = plan.samples * plan.down * plan.across
        with places as (block, tile):
            index = code.name(chunk.first + tile)
            with code.when(total % plan.chunks.tiles == 0 or index < total):
                n, row, column = split(index, (plan.samples, plan.down, plan.across))
                yield block, tile, code.name(n), code.name(row), code.name(column)

    def transform_inputs(self, body: Body, chunk: Chunk) -> None:
        """scratch[point][channel block][tile] = B^T d B."""
        plan = self.plan
        code, x, op = body.code, body.inputs[0], body.call.op
        assert isinstance(op, Conv)
        (top, _), (left, _) = op.pads
        down, across = plan.transforms
        places = self._each(code, plan.inputs, plan.chunks.tiles)
        rows, columns = plan.axes
        with self._tiles(code, chunk, places) as (block, tile, n, row, column):
            corner = code.name(
                x.layout.index(n, block, (rows.first(row) - top, columns.first(column) - left))
            )
            line, place = (
                stride * axis.dilation
                for stride, axis in zip(x.layout.strides, plan.axes, strict=True)
            )
            values = [
                [load(x.buffer, corner + i * line + j * place, plan.lanes)
                 for j in range(across.size)]
                for i in range(down.size)
            ]  # fmt: skip
            results = transformed_inputs(code, plan.transforms, values, plan.lanes)
            start = code.name(chunk.start + (block * plan.chunks.tiles + tile) * plan.vector)
            for point, value in enumerate(v for line in results for v in line):
                self._keep(body, start + point * plan.input_distance, value)

    def _keep(self, body: Body, index: Expr, value: Expr) -> None:
        """Write a transformed input."""
        body.code.store(body.scratch, index, value, self.plan.lanes)

    def inputs_of(self, chunk: Chunk, point: Expr, panel: Expr) -> Expr:
        """Where the transformed inputs lie that a panel of output blocks reads for a point."""
        plan = self.plan
        group = div(panel, plan.panels // plan.groups) if plan.groups > 1 else 0
        tiles = plan.span * plan.chunks.tiles * plan.vector
        return chunk.start + point * plan.input_distance + group * tiles

    def _multiply(self, body: Body, chunk: Chunk) -> None:
        """products[point][output block][tile] = the sum over the input channels of its group."""
        plan = self.plan
        code, tiles = body.code, plan.chunks.tiles
        products = chunk.start + plan.products_start
        with self._each(code, plan.points, plan.panels) as (point, number):
            weights = code.name((point * plan.panels + number) * plan.span * plan.row)
            target = point * plan.output_distance + number * plan.tile.blocks * tiles * plan.lanes
            source = code.name(self.inputs_of(chunk, point, number))
            target = code.name(products + target)
            with code.loop(plan.parts) as part:
                start = code.name(weights + part * (plan.depth * plan.row))
                operands = Operands(source, target, body.weights["weight"], start)
                self.add_part(body, operands, part, partial(self._ask_ahead, body, weights))

    def add_part(
        self,
        body: Body,
        operands: Operands,
        part: Expr,
        ask: Callable[[Piece, Expr], Ahead | None],
    ) -> None:
        """Add to the products of all tiles what a part of the input blocks gives.

        `ask` is told of each input block of each piece.
        """
        plan = self.plan
        for column, columns in Pieces.of(plan.chunks.tiles, plan.tile.columns).walk(body.code):
            self._products(body, operands, part, Piece(column, columns), ask)

    def _products(
        self,
        body: Body,
        operands: Operands,
        part: Expr,
        piece: Piece,
        ask: Callable[[Piece, Expr], Ahead | None],
    ) -> None:
        """The products of some neighbouring tiles."""
        plan = self.plan
        code, lanes, blocks, tiles = body.code, plan.lanes, plan.tile.blocks, plan.chunks.tiles
        source = code.name(operands.inputs + piece.column * plan.vector)
        target = code.name(operands.products + piece.column * lanes)
        zero = vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(blocks)] for _ in range(piece.columns)]
        sums = [
            (total, target + (b * tiles + column) * lanes)
            for column, registers in enumerate(totals)
            for b, total in enumerate(registers)
        ]
        with code.when(negated(plan.parts == 1 or part == 0)):
            for total, index in sums:
                code.set(total, load(body.scratch, index, lanes))
        first = part * plan.depth
        with code.loop(plan.depth_of(first)) as inner:
            block = code.name(first + inner)
            start = code.name(source + block * (tiles * plan.vector))
            row = code.name(operands.weights + inner * plan.row)
            inputs, weights = (body.scratch, start), (operands.buffer, row)
            self._add_block(code, totals, inputs, weights, ask(piece, block))
        for total, index in sums:
            code.store(body.scratch, index, total.value, lanes)

    def _add_block(
        self,
        code: Code,
        totals: Totals,
        inputs: tuple[Any, Expr],
        weights: tuple[Any, Expr],
        ahead: Ahead | None,
    ) -> None:
        """Add the products of a block of channels, of the tiles and weights from two places on."""
        lanes, blocks = self.plan.lanes, self.plan.tile.blocks
        add_products(code, totals, inputs, lanes, weights, lanes, blocks, ahead)

    def _ask_ahead(self, body: Body, weights: Expr, piece: Piece, block: Expr) -> Ahead | None:
        """Ask for a share of the next panel's weights where they are larger than a cache.

        All input blocks of all tiles together ask for the whole panel, line after line: the order
        in which a CPU can foresee what is asked for next.
        """
        plan = self.plan
        if not plan.streams or plan.words:
            return None
        tiles, size = plan.chunks.tiles, plan.row // FLOATS_OF_LINE
        done = div((piece.column * plan.span + block * piece.columns) * size, tiles)
        start = weights + (plan.span * size + done) * FLOATS_OF_LINE
        lines = -(-size * piece.columns // tiles)
        return Ahead.of(body.code, body.weights["weight"], start, lines)

    def transform_outputs(self, body: Body, chunk: Chunk, places: Indices, panel: Expr = 0) -> None:
        """y = A^T products A, and the epilogue.

        `places` are output block and tile, the blocks counted from the first of the panel.
        """
        plan = self.plan
        code, lanes = body.code, plan.lanes
        height, width = (t.size for t in plan.transforms)
        products = chunk.start + plan.products_start
        with self._tiles(code, chunk, places) as (number, tile, n, row, column):
            block = code.name(panel * plan.tile.blocks + number)
            start = code.name(products + (number * plan.chunks.tiles + tile) * lanes)
            body.clear_halo(n, block, [row, column])
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
        """Write a tile of outputs, as far as it lies in the map: the largest of each window."""
        plan, call = self.plan, body.call
        code, lanes = body.code, plan.lanes
        down, across = tile.position
        rows, columns = plan.axes
        bias = body.weights.get("bias")
        start = vector(0.0, lanes) if bias is None else load(bias, tile.block * lanes, lanes)
        (height, width), window = call.spatial, call.window

        def place(i: int, j: int, size: Sequence[int]) -> Place:
            """Where an element of the tile lies if one is stored of each window of a size."""
            y = rows.output(down, i, size[0])
            return Place(tile.n, tile.block, (y, columns.output(across, j, size[1])))

        for i in range(0, rows.m, window[0]):
            row_inside = rows.has(height, down, i)
            for j in range(0, columns.m, window[1]):
                column_inside = columns.has(width, across, j)
                with code.when(all_of([row_inside, column_inside])):
                    values = [
                        body.finished(results[i + a][j + b] + start, place(i + a, j + b, (1, 1)))
                        for a, b in itertools.product(*map(range, window))
                    ]
                    target = place(i, j, window)
                    body.output.store(code, target, reduce(partial(larger, lanes=lanes), values))
