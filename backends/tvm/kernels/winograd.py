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

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.blocking import FLOATS_OF_LINE, near
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.transforms import (
    Transform,
    transform,
    transformed_inputs,
    transformed_outputs,
)
from cnndsl.backends.tvm.kernels.winograd_cost import Chunks, Shape, best_chunks, best_transforms
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import Pieces, Tile, best_tile, evenly
from cnndsl.backends.tvm.tir import (
    Code,
    Expr,
    all_of,
    div,
    load,
    minimum,
    negated,
    split,
    vector,
)
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

FEWEST_CHANNELS = 16


def output_tile(
    op: Conv, channels: int, spatial: Sequence[int], batch: int, machine: Machine
) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper or needed."""
    lanes, ones = machine.lanes, (1, 1)
    width, filters = channels // op.groups, op.filters // op.groups
    fits = len(op.kernel) == 2 and op.stride == ones and op.dilation == ones
    whole_blocks = op.groups == 1 or (width % lanes == 0 and filters % lanes == 0)
    enough = min(width, filters) >= FEWEST_CHANNELS
    if not (fits and whole_blocks and enough and machine.winograd and lanes > 1):
        return None
    return best_transforms(_shape(op, channels, spatial, batch), machine)


def _shape(op: Conv, channels: int, spatial: Sequence[int], batch: int) -> Shape:
    width, filters = channels // op.groups, op.filters // op.groups
    return Shape(op.kernel, tuple(spatial), width, filters, op.groups, batch)


def read_halo(op: Conv, spatial: Sequence[int], tile: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The zeros that whole tiles need around an input; `spatial` is the output's size."""
    return tuple(
        (before, after + (-n % m))
        for n, m, (before, after) in zip(spatial, tile, op.pads, strict=True)
    )


def winograd(call: Call) -> Kernel | None:
    """The kernel, or None if another one is better."""
    op, lanes, y = call.core, call.machine.lanes, call.output
    assert isinstance(op, Conv)
    if call.prologue or not call.x.block == y.block == lanes or call.x.rank != 2:
        return None
    tile = output_tile(op, call.x.channels, y.spatial, y.batch, call.machine)
    if tile is None:
        return None
    kernel = _Winograd.plan(call, op, tile)
    weights = {"weight": kernel.packed(call), **call.weights()}
    if op.bias:
        missing = y.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    return Kernel("winograd", weights, kernel.write, kernel.scratch)


@dataclass(frozen=True)
class _Chunk:
    """A chunk while its code is written: its first tile, and where its scratch memory starts."""

    first: Expr
    start: Expr


@dataclass(frozen=True)
class _Winograd:
    """A sample has `down` times `across` tiles.

    `inputs` and `outputs` count blocks of channels, outputs up to a multiple of the register
    `tile`; `span` input blocks belong to one group, and are summed up in parts of `depth`.
    """

    transforms: tuple[Transform, ...]
    samples: int
    down: int
    across: int
    chunks: Chunks
    inputs: int
    span: int
    outputs: int
    groups: int
    lanes: int
    cores: int
    tile: Tile
    depth: int

    @classmethod
    def plan(cls, call: Call, op: Conv, output: tuple[int, ...]) -> _Winograd:
        """Chunks as the caches want them, and the register tile of the products."""
        transforms = tuple(transform(m, r) for m, r in zip(output, op.kernel, strict=True))
        y, machine = call.output, call.machine
        down, across = (-(-n // m) for n, m in zip(y.spatial, output, strict=True))
        inputs, outputs = call.x.blocks, y.blocks
        chunks = best_chunks(_shape(op, call.x.channels, y.spatial, y.batch), output, machine)
        limit = outputs // op.groups
        tile = best_tile(machine, limit, chunks.tiles, exact=op.groups > 1)
        outputs = -(-outputs // tile.blocks) * tile.blocks
        span = inputs // op.groups
        panel = 4 * machine.lanes**2 * tile.blocks
        depth = span if chunks.tiles <= tile.columns else evenly(span, near(machine) / panel)
        return cls(
            transforms, y.batch, down, across, chunks, inputs, span, outputs, op.groups,
            machine.lanes, machine.cores, tile, depth,
        )  # fmt: skip

    @property
    def points(self) -> int:
        """Products of a tile for each pair of channels."""
        return math.prod(t.size for t in self.transforms)

    @property
    def input_distance(self) -> int:
        """Floats from a point of the transformed inputs to the next: an odd number of vectors.

        So the points of one tile do not compete for the same places in a cache.
        """
        return (self.inputs * self.chunks.tiles | 1) * self.lanes

    @property
    def output_distance(self) -> int:
        """Floats from a point of the products to the next."""
        return (self.outputs * self.chunks.tiles | 1) * self.lanes

    @property
    def chunk_scratch(self) -> int:
        """Floats of the transformed tiles of a chunk, inputs before products."""
        floats = self.points * (self.input_distance + self.output_distance)
        return -(-floats // FLOATS_OF_LINE) * FLOATS_OF_LINE

    @property
    def scratch(self) -> int:
        """Floats of all chunks that are in work at a time."""
        return self.chunk_scratch * (self.cores if self.chunks.private else 1)

    def packed(self, call: Call) -> Expression:
        """G g G^T as [points, filters/outputs, channels/lanes, lanes, outputs]."""
        down, across = (constant(t.weight) for t in self.transforms)
        full = einsum("ai,ocij,bj->aboc", down, conv_weight(call), across)
        width, inner = self.tile.blocks * self.lanes, self.span * self.lanes
        _, _, filters, channels = full.shape
        missing = ((0, self.outputs * self.lanes - filters), (0, inner - channels))
        padded = pad(full, ((0, 0), (0, 0), *missing))
        chunks = self.outputs // self.tile.blocks
        shape = (self.points, chunks, width, self.span, self.lanes)
        return transpose(reshape(padded, shape), (0, 1, 3, 4, 2))

    def write(self, body: Body) -> None:
        """All outputs, chunk by chunk."""
        code, tiles = body.code, self.chunks.tiles
        count = -(-self.samples * self.down * self.across // tiles)
        if not self.chunks.private:
            with code.loop(count) as chunk:
                self._write_chunk(body, _Chunk(code.name(chunk * tiles), 0))
            return
        rounds = -(-count // self.cores)
        with code.parallel(self.cores) as (core,), code.loop(rounds) as index:
            chunk = code.name(core * rounds + index)
            with code.when(count % self.cores == 0 or chunk < count):
                start = code.name(core * self.chunk_scratch)
                self._write_chunk(body, _Chunk(code.name(chunk * tiles), start))

    def _write_chunk(self, body: Body, chunk: _Chunk) -> None:
        self._transform_inputs(body, chunk)
        self._multiply(body, chunk)
        self._transform_outputs(body, chunk)

    @contextmanager
    def _each(self, code: Code, *extents: int) -> Iterator[list[Expr]]:
        """All index tuples of a phase, shared by the cores if the chunk is."""
        if self.chunks.private:
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
        total = self.samples * self.down * self.across
        with self._each(code, blocks, self.chunks.tiles) as (block, tile):
            index = code.name(chunk.first + tile)
            with code.when(total % self.chunks.tiles == 0 or index < total):
                n, row, column = split(index, (self.samples, self.down, self.across))
                yield block, tile, code.name(n), code.name(row), code.name(column)

    def _transform_inputs(self, body: Body, chunk: _Chunk) -> None:
        """scratch[point][channel block][tile] = B^T d B."""
        code, x, op = body.code, body.inputs[0], body.call.core
        assert isinstance(op, Conv)
        (top, _), (left, _) = op.pads
        down, across = self.transforms
        with self._tiles(code, chunk, self.inputs) as (block, tile, n, row, column):
            corner = code.name(
                x.layout.index(n, block, (row * down.m - top, column * across.m - left))
            )
            line, place = x.layout.strides
            values = [
                [load(x.buffer, corner + i * line + j * place, self.lanes)
                 for j in range(across.size)]
                for i in range(down.size)
            ]  # fmt: skip
            results = transformed_inputs(code, self.transforms, values, self.lanes)
            start = code.name(chunk.start + (block * self.chunks.tiles + tile) * self.lanes)
            for point, value in enumerate(v for line in results for v in line):
                code.store(body.scratch, start + point * self.input_distance, value, self.lanes)

    def _multiply(self, body: Body, chunk: _Chunk) -> None:
        """products[point][output block][tile] = the sum over the input channels of its group."""
        code, tile, lanes, tiles = body.code, self.tile, self.lanes, self.chunks.tiles
        panels = self.outputs // tile.blocks
        panel = self.span * lanes * tile.blocks * lanes
        pieces = Pieces.of(tiles, tile.columns)
        products = chunk.start + self.points * self.input_distance
        with self._each(code, self.points, panels) as (point, number):
            weights = code.name((point * panels + number) * panel)
            group = div(number, panels // self.groups) if self.groups > 1 else 0
            source = chunk.start + point * self.input_distance + group * self.span * tiles * lanes
            target = products + point * self.output_distance + number * tile.blocks * tiles * lanes
            source, target = code.name(source), code.name(target)
            with code.loop(-(-self.span // self.depth)) as part:
                for column, columns in pieces.walk(code):
                    first = column * lanes
                    self._products(body, weights, source + first, target + first, part, columns)

    def _products(
        self, body: Body, weights: Expr, source: Expr, target: Expr, part: Expr, columns: int
    ) -> None:
        """The products of some neighbouring tiles, of the input blocks of one part."""
        code, lanes, blocks, tiles = body.code, self.lanes, self.tile.blocks, self.chunks.tiles
        weight = body.weights["weight"]
        zero = vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(blocks)] for _ in range(columns)]
        places = [
            (total, target + (b * tiles + column) * lanes)
            for column, registers in enumerate(totals)
            for b, total in enumerate(registers)
        ]
        with code.when(negated(self.depth == self.span or part == 0)):
            for total, index in places:
                code.set(total, load(body.scratch, index, lanes))
        first = part * self.depth
        with code.loop(self._depth_of(first)) as inner:
            block = code.name(first + inner)
            start = code.name(source + block * (tiles * lanes))
            row = code.name(weights + block * (lanes * blocks * lanes))
            add_products(code, totals, (body.scratch, start), lanes, (weight, row), lanes, blocks)
        for total, index in places:
            code.store(body.scratch, index, total.value, lanes)

    def _depth_of(self, first: Expr) -> Expr:
        """Input blocks of the part that starts with a block."""
        return minimum(self.depth, self.span - first) if self.span % self.depth else self.depth

    def _transform_outputs(self, body: Body, chunk: _Chunk) -> None:
        """y = A^T products A, and the epilogue."""
        code, lanes = body.code, self.lanes
        height, width = (t.size for t in self.transforms)
        products = chunk.start + self.points * self.input_distance
        blocks = body.output.layout.blocks
        with self._tiles(code, chunk, blocks) as (block, tile, n, row, column):
            body.clear_halo(n, block, [row, column])
            start = code.name(products + (block * self.chunks.tiles + tile) * lanes)
            values = [
                [
                    load(body.scratch, start + (i * width + j) * self.output_distance, lanes)
                    for j in range(width)
                ]
                for i in range(height)
            ]
            results = transformed_outputs(code, self.transforms, values, lanes)
            self._store(body, Place(n, block, (row, column)), results)

    def _store(self, body: Body, tile: Place, results: Sequence[Sequence[Expr]]) -> None:
        """Write a tile of outputs, as far as it lies in the map."""
        code, lanes = body.code, self.lanes
        down, across = tile.position
        m = [t.m for t in self.transforms]
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
