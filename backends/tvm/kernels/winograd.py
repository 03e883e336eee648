"""Winograd convolution, F(2x2, 3x3) and F(4x4, 3x3).

Tiles of m x m outputs are computed from (m+2) x (m+2) inputs: Y = A^T [(G g G^T) * (B^T d B)] A,
with (m+2)^2 products in place of 9 m^2 for each pair of channels. Summed over the input channels
the products are (m+2)^2 independent matrix products. Source: Lavin and Gray (2016), Fast
algorithms for convolutional neural networks.

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
from cnndsl.backends.tvm.kernels.transforms import TRANSFORMS, Transform, both_sides
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import Pieces, Tile, best_tile, largest_divisor
from cnndsl.backends.tvm.tir import Expr, all_of, load, vector
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

FEWEST_CHANNELS = 16
BYTES_PER_CYCLE = 8
"""Weights that reach a core from the shared cache or from memory, about."""
TRANSFORM_CYCLES = 6
"""Cycles to transform one vector of a tile, there or back, loads and stores included."""
NEAR, FAR = 2**20, 6 * 2**20
"""Bytes of a chunk: what the second-level caches hold; what the shared cache holds."""


def output_tile(op: Conv, channels: int, spatial: Sequence[int], machine: Machine) -> int | None:
    """m of the cheapest F(m x m, 3x3), or None where direct convolution is cheaper or needed."""
    ones = (1, 1)
    if op.kernel != (3, 3) or op.stride != ones or op.dilation != ones or op.groups != 1:
        return None
    if not machine.winograd or machine.lanes == 1 or min(channels, op.filters) < FEWEST_CHANNELS:
        return None
    pairs = channels * op.filters
    per_cycle = 2 * machine.lanes

    def cycles(m: int) -> float:
        tiles = math.prod(-(-n // m) for n in spatial)
        products = tiles * (m + 2) ** 2
        transforms = products * (channels + op.filters) * TRANSFORM_CYCLES / machine.lanes
        weights = (m + 2) ** 2 * pairs * 4 / BYTES_PER_CYCLE
        return products * pairs / per_cycle + transforms + weights

    direct = 9 * pairs * (math.prod(spatial) / per_cycle + 4 / BYTES_PER_CYCLE)
    best = min(TRANSFORMS, key=cycles)
    return best if cycles(best) < direct else None


def read_halo(op: Conv, spatial: Sequence[int], m: int) -> tuple[tuple[int, int], ...]:
    """The zeros that whole tiles need around an input; `spatial` is the output's size."""
    return tuple(
        (before, after + (-n % m)) for n, (before, after) in zip(spatial, op.pads, strict=True)
    )


def winograd(call: Call) -> Kernel | None:
    """The kernel, or None if another one is better."""
    op, lanes = call.core, call.machine.lanes
    assert isinstance(op, Conv)
    if call.prologue or not call.x.block == call.output.block == lanes or call.x.rank != 2:
        return None
    m = output_tile(op, call.x.channels, call.output.spatial, call.machine)
    if m is None:
        return None
    kernel = _Winograd.plan(call, TRANSFORMS[m])
    weights = {"weight": _packed(call, TRANSFORMS[m], kernel.tile.blocks), **call.weights()}
    if op.bias:
        missing = call.output.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    return Kernel("winograd", weights, kernel.write, kernel.scratch)


def _packed(call: Call, transform: Transform, blocks: int) -> Expression:
    """G g G^T as [(m+2)^2, filters/outputs, channels/lanes, lanes, outputs]."""
    lanes = call.machine.lanes
    g = constant(transform.weight)
    full = einsum("ai,ocij,bj->aboc", g, conv_weight(call), g)
    width = blocks * lanes
    inner, outputs = call.x.blocks * lanes, -(-call.output.channels // width) * width
    missing = (outputs - call.output.channels, inner - call.x.channels)
    padded = pad(full, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])))
    shape = (transform.size**2, outputs // width, width, call.x.blocks, lanes)
    return transpose(reshape(padded, shape), (0, 1, 3, 4, 2))


@dataclass(frozen=True)
class _Winograd:
    """`rows` and `columns` count the tiles of a chunk; there are `chunks` in a sample.

    `inputs` and `outputs` count blocks of channels, outputs up to a multiple of the register tile.
    """

    transform: Transform
    rows: int
    columns: int
    chunks: int
    inputs: int
    outputs: int
    lanes: int
    tile: Tile

    @classmethod
    def plan(cls, call: Call, transform: Transform) -> _Winograd:
        """Chunks as large as the caches allow, and the register tile of the products."""
        lanes, m = call.machine.lanes, transform.m
        down, across = (-(-n // m) for n in call.output.spatial)
        inputs, outputs = call.x.blocks, call.output.blocks
        products = transform.size**2 * 4 * lanes
        weights = products * inputs * outputs * lanes
        limit = NEAR if weights <= NEAR // 2 else FAR
        rows = largest_divisor(down, limit / (products * (inputs + outputs) * across))
        tile = best_tile(call.machine, outputs, rows * across)
        outputs = -(-outputs // tile.blocks) * tile.blocks
        return cls(transform, rows, across, down // rows, inputs, outputs, lanes, tile)

    @property
    def tiles(self) -> int:
        """Tiles of a chunk."""
        return self.rows * self.columns

    @property
    def scratch(self) -> int:
        """Floats of the transformed tiles of a chunk, inputs before products."""
        return self.transform.size**2 * self.tiles * self.lanes * (self.inputs + self.outputs)

    @property
    def products_start(self) -> int:
        """Where the products start in the scratch memory."""
        return self.transform.size**2 * self.tiles * self.lanes * self.inputs

    def write(self, body: Body) -> None:
        code = body.code
        with code.loop(body.output.layout.batch) as n, code.loop(self.chunks) as chunk:
            first = code.name(chunk * self.rows)
            self._transform_inputs(body, n, first)
            self._multiply(body)
            self._transform_outputs(body, n, first)

    def _transform_inputs(self, body: Body, n: Expr, first: Expr) -> None:
        """scratch[point][channel block][tile] = B^T d B."""
        code, x, m = body.code, body.inputs[0], self.transform.m
        op = body.call.core
        assert isinstance(op, Conv)
        size = self.transform.size
        with (
            code.parallel(self.inputs, self.rows) as (block, row),
            code.loop(self.columns) as column,
        ):
            (top, _), (left, _) = op.pads
            corner = (code.name((first + row) * m - top), code.name(column * m - left))
            values = [
                [x.load(Place(n, block, (corner[0] + i, corner[1] + j))) for j in range(size)]
                for i in range(size)
            ]
            transformed = both_sides(code, self.transform.input, values, self.lanes)
            start = code.name((block * self.tiles + row * self.columns + column) * self.lanes)
            distance = self.inputs * self.tiles * self.lanes
            for point, value in enumerate(v for line in transformed for v in line):
                code.store(body.scratch, start + point * distance, value, self.lanes)

    def _multiply(self, body: Body) -> None:
        """products[point][output block][tile] = the sum over all input channels."""
        code, tile, lanes = body.code, self.tile, self.lanes
        chunks = self.outputs // tile.blocks
        width = tile.blocks * lanes
        with code.parallel(self.transform.size**2, chunks) as (point, chunk):
            weights = code.name((point * chunks + chunk) * (self.inputs * lanes * width))
            source = code.name(point * (self.inputs * self.tiles * lanes))
            block = point * self.outputs + chunk * tile.blocks
            target = code.name(self.products_start + block * (self.tiles * lanes))
            for column, columns in Pieces.of(self.tiles, tile.columns).walk(code):
                first = column * lanes
                self._products(body, weights, source + first, target + first, columns)

    def _products(
        self, body: Body, weights: Expr, source: Expr, target: Expr, columns: int
    ) -> None:
        """The products of some neighbouring tiles."""
        code, lanes, blocks = body.code, self.lanes, self.tile.blocks
        zero = vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(blocks)] for _ in range(columns)]
        with code.loop(self.inputs) as block:
            start = code.name(source + block * (self.tiles * lanes))
            row = code.name(weights + block * (lanes * blocks * lanes))
            packed = (body.weights["weight"], row)
            add_products(code, totals, (body.scratch, start), lanes, packed, lanes)
        for column, registers in enumerate(totals):
            for b, total in enumerate(registers):
                index = target + (b * self.tiles + column) * lanes
                code.store(body.scratch, index, total.value, lanes)

    def _transform_outputs(self, body: Body, n: Expr, first: Expr) -> None:
        """y = A^T products A, and the epilogue."""
        code, lanes, size = body.code, self.lanes, self.transform.size
        distance = self.outputs * self.tiles * lanes
        with code.parallel(body.output.layout.blocks, self.rows) as (block, row):
            down = code.name(first + row)
            body.clear_halo(n, block, [down])
            with code.loop(self.columns) as column:
                tile = row * self.columns + column
                start = self.products_start + (block * self.tiles + tile) * lanes
                start = code.name(start)
                values = [
                    [
                        load(body.scratch, start + (i * size + j) * distance, lanes)
                        for j in range(size)
                    ]
                    for i in range(size)
                ]
                results = both_sides(code, self.transform.output, values, lanes)
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
        code, m, lanes = body.code, self.transform.m, self.lanes
        bias = body.weights.get("bias")
        start = vector(0.0, lanes) if bias is None else load(bias, block * lanes, lanes)
        height, width = body.output.layout.spatial
        for i, line in enumerate(results):
            row_inside = not height % m or i < height % m or down < height // m
            for j, value in enumerate(line):
                column_inside = not width % m or j < width % m or column < width // m
                with code.when(all_of([row_inside, column_inside])):
                    place = Place(n, block, (down * m + i, column * m + j))
                    body.write(place, value + start)
