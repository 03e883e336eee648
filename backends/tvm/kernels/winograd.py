"""Winograd convolution with stride 1: F(m, r) on each axis, such as F(4x4, 3x3) and F(1x4, 1x7).

Tiles of outputs are computed from tiles of inputs: Y = A^T [(G g G^T) * (B^T d B)] A, with
(m + r - 1) products for each axis in place of m * r, for each pair of channels. Summed over the
input channels the products are independent matrix products, one for each point of a tile.
Source: Lavin and Gray (2016), Fast algorithms for convolutional neural networks.

The tiles are worked through in chunks of whole tile rows, each in three phases: all input tiles
are transformed, the matrices multiplied, all output tiles transformed back. A chunk's
transformed tiles should stay in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.kernels.products import add_products
from cnndsl.backends.tvm.kernels.transforms import (
    Transform,
    transform,
    transformed_inputs,
    transformed_outputs,
)
from cnndsl.backends.tvm.kernels.winograd_cost import Shape, best_rows, best_transforms
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import Pieces, Tile, best_tile
from cnndsl.backends.tvm.tir import Code, Expr, all_of, div, load, vector
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

FEWEST_CHANNELS = 16


def output_tile(
    op: Conv, channels: int, spatial: Sequence[int], machine: Machine
) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper or needed."""
    lanes, ones = machine.lanes, (1, 1)
    width, filters = channels // op.groups, op.filters // op.groups
    fits = len(op.kernel) == 2 and op.stride == ones and op.dilation == ones
    whole_blocks = op.groups == 1 or (width % lanes == 0 and filters % lanes == 0)
    enough = min(width, filters) >= FEWEST_CHANNELS
    if not (fits and whole_blocks and enough and machine.winograd and lanes > 1):
        return None
    return best_transforms(Shape(op.kernel, tuple(spatial), width, filters, op.groups), machine)


def read_halo(op: Conv, spatial: Sequence[int], tile: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The zeros that whole tiles need around an input; `spatial` is the output's size."""
    return tuple(
        (before, after + (-n % m))
        for n, m, (before, after) in zip(spatial, tile, op.pads, strict=True)
    )


def winograd(call: Call) -> Kernel | None:
    """The kernel, or None if another one is better."""
    op, lanes = call.core, call.machine.lanes
    assert isinstance(op, Conv)
    if call.prologue or not call.x.block == call.output.block == lanes or call.x.rank != 2:
        return None
    tile = output_tile(op, call.x.channels, call.output.spatial, call.machine)
    if tile is None:
        return None
    kernel = _Winograd.plan(call, op, tile)
    weights = {"weight": kernel.packed(call), **call.weights()}
    if op.bias:
        missing = call.output.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    return Kernel("winograd", weights, kernel.write, kernel.scratch)


@dataclass(frozen=True)
class _Winograd:
    """`rows` and `columns` count the tiles of a chunk; there are `chunks` in a sample.

    `inputs` and `outputs` count blocks of channels, outputs up to a multiple of the register
    tile; `span` input blocks belong to one group.
    """

    transforms: tuple[Transform, ...]
    rows: int
    columns: int
    down: int
    inputs: int
    span: int
    outputs: int
    groups: int
    lanes: int
    tile: Tile

    @classmethod
    def plan(cls, call: Call, op: Conv, output: Sequence[int]) -> _Winograd:
        """Chunks as large as the caches allow, and the register tile of the products."""
        transforms = tuple(transform(m, r) for m, r in zip(output, op.kernel, strict=True))
        down, across = (-(-n // m) for n, m in zip(call.output.spatial, output, strict=True))
        inputs, outputs = call.x.blocks, call.output.blocks
        shape = Shape(
            op.kernel,
            call.output.spatial,
            call.x.channels // op.groups,
            op.filters // op.groups,
            op.groups,
        )
        rows = best_rows(shape, tuple(output), call.machine)
        limit = outputs // op.groups
        tile = best_tile(call.machine, limit, rows * across, exact=op.groups > 1)
        outputs = -(-outputs // tile.blocks) * tile.blocks
        return cls(
            transforms, rows, across, down, inputs, inputs // op.groups, outputs, op.groups,
            call.machine.lanes, tile,
        )  # fmt: skip

    @property
    def points(self) -> int:
        """Products of a tile for each pair of channels."""
        return math.prod(t.size for t in self.transforms)

    @property
    def tiles(self) -> int:
        """Tiles of a chunk."""
        return self.rows * self.columns

    @property
    def scratch(self) -> int:
        """Floats of the transformed tiles of a chunk, inputs before products."""
        return self.points * self.tiles * self.lanes * (self.inputs + self.outputs)

    @property
    def products_start(self) -> int:
        """Where the products start in the scratch memory."""
        return self.points * self.tiles * self.lanes * self.inputs

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
        code = body.code
        chunks = -(-self.down // self.rows)
        with code.loop(body.output.layout.batch) as n, code.loop(chunks) as chunk:
            first = code.name(chunk * self.rows)
            self._transform_inputs(body, n, first)
            self._multiply(body)
            self._transform_outputs(body, n, first)

    def _in_map(self, code: Code, row: Expr) -> Expr:
        """Whether a row of tiles is one of the map's, and not only of the last chunk's."""
        return True if self.down % self.rows == 0 else row < self.down

    def _transform_inputs(self, body: Body, n: Expr, first: Expr) -> None:
        """scratch[point][channel block][tile] = B^T d B."""
        code, x = body.code, body.inputs[0]
        op = body.call.core
        assert isinstance(op, Conv)
        (top, _), (left, _) = op.pads
        down, across = self.transforms
        tasks = code.parallel(self.inputs, self.rows)
        with tasks as (block, row), code.when(self._in_map(code, first + row)):
            y = code.name((first + row) * down.m - top)
            with code.loop(self.columns) as column:
                left_edge = code.name(column * across.m - left)
                values = [
                    [x.load(Place(n, block, (y + i, left_edge + j))) for j in range(across.size)]
                    for i in range(down.size)
                ]
                results = transformed_inputs(code, self.transforms, values, self.lanes)
                start = code.name((block * self.tiles + row * self.columns + column) * self.lanes)
                distance = self.inputs * self.tiles * self.lanes
                for point, value in enumerate(v for line in results for v in line):
                    code.store(body.scratch, start + point * distance, value, self.lanes)

    def _multiply(self, body: Body) -> None:
        """products[point][output block][tile] = the sum over the input channels of its group."""
        code, tile, lanes = body.code, self.tile, self.lanes
        chunks = self.outputs // tile.blocks
        width = tile.blocks * lanes
        with code.parallel(self.points, chunks) as (point, chunk):
            weights = code.name((point * chunks + chunk) * (self.span * lanes * width))
            group = div(chunk, chunks // self.groups) if self.groups > 1 else 0
            source_block = point * self.inputs + group * self.span
            source = code.name(source_block * (self.tiles * lanes))
            block = point * self.outputs + chunk * tile.blocks
            target = code.name(self.products_start + block * (self.tiles * lanes))
            pieces = Pieces.of(self.tiles, tile.columns)
            for column, columns in pieces.walk(code):
                first = column * lanes
                self._products(body, weights, source + first, target + first, columns)

    def _products(
        self, body: Body, weights: Expr, source: Expr, target: Expr, columns: int
    ) -> None:
        """The products of some neighbouring tiles."""
        code, lanes, blocks = body.code, self.lanes, self.tile.blocks
        weight = body.weights["weight"]
        zero = vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(blocks)] for _ in range(columns)]
        with code.loop(self.span) as block:
            start = code.name(source + block * (self.tiles * lanes))
            row = code.name(weights + block * (lanes * blocks * lanes))
            add_products(code, totals, (body.scratch, start), lanes, (weight, row), lanes)
        for column, registers in enumerate(totals):
            for b, total in enumerate(registers):
                index = target + (b * self.tiles + column) * lanes
                code.store(body.scratch, index, total.value, lanes)

    def _transform_outputs(self, body: Body, n: Expr, first: Expr) -> None:
        """y = A^T products A, and the epilogue."""
        code, lanes = body.code, self.lanes
        distance = self.outputs * self.tiles * lanes
        height, width = (t.size for t in self.transforms)
        tasks = code.parallel(body.output.layout.blocks, self.rows)
        with tasks as (block, row), code.when(self._in_map(code, first + row)):
            down = code.name(first + row)
            body.clear_halo(n, block, [down])
            with code.loop(self.columns) as column:
                tile = row * self.columns + column
                start = self.products_start + (block * self.tiles + tile) * lanes
                start = code.name(start)
                values = [
                    [
                        load(body.scratch, start + (i * width + j) * distance, lanes)
                        for j in range(width)
                    ]
                    for i in range(height)
                ]
                results = transformed_outputs(code, self.transforms, values, lanes)
                self._store(body, n, block, down, column, results)

    def _store(
        self,
        body: Body,
        n: Expr,
        block: Expr,
        down: Expr,
        column: Expr,
        results: Sequence[Sequence[Expr]],
    ) -> None:
        """Write a tile of outputs, as far as it lies in the map."""
        code, lanes = body.code, self.lanes
        m = [t.m for t in self.transforms]
        bias = body.weights.get("bias")
        start = vector(0.0, lanes) if bias is None else load(bias, block * lanes, lanes)
        height, width = body.output.layout.spatial
        for i, line in enumerate(results):
            row_inside = not height % m[0] or i < height % m[0] or down < height // m[0]
            for j, value in enumerate(line):
                column_inside = not width % m[1] or j < width % m[1] or column < width // m[1]
                with code.when(all_of([row_inside, column_inside])):
                    place = Place(n, block, (down * m[0] + i, column * m[1] + j))
                    body.write(place, value + start)
