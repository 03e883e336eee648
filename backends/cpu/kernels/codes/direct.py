"""Convolutions and fully connected layers on codes: the register tiles of `direct`, of words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.codes.words import WORD, Products
from cnndsl.backends.cpu.kernels.direct.blocking import Blocking, Grid, far
from cnndsl.backends.cpu.kernels.direct.division import Work, ranked_divisions
from cnndsl.backends.cpu.kernels.direct.family import Loops
from cnndsl.backends.cpu.kernels.direct.products import Ahead, Totals
from cnndsl.backends.cpu.kernels.direct.tiles import DirectTiles, Task
from cnndsl.backends.cpu.kernels.direct.windows import Window
from cnndsl.backends.cpu.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import (
    LATENCY,
    PER_CYCLE,
    WIDEST,
    Pieces,
    Tile,
    largest_divisor,
)
from cnndsl.backends.native.packing import INT8, Weight
from cnndsl.ir.algebra import pad, reshape, take, transpose
from cnndsl.ir.expressions import Expression

UNROLLED = 24
"""Instructions that multiply in the body of the loop, about."""


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """Kernels with other tiles and divisions."""
    if not _takes(call):
        return
    for tiles, blocking in by_rank(lambda: _tiles(call), _blockings):
        tile = f"{tiles.tile.blocks}x{tiles.grid.pieces.width}"
        name = f"words {tile} rows {blocking.rows} chunks {blocking.chunks}"
        yield Candidate(name, partial(_kernel, tiles, blocking))


def _takes(call: Call[Any]) -> bool:
    """Whether words lie together: blocks have a multiple of their size."""
    block = call.machine.lanes
    return is_linear(call) and block % WORD == 0 and call.x.block == call.output.block == block


FAMILY = Family(candidates, _takes, padding)


@dataclass(frozen=True)
class WordTiles(DirectTiles):
    """Tiles of 32-bit sums, which are complete when they are stored."""

    layer: Layer
    products: Products

    def _blocks(self, body: Body, task: Task, first: Expr, columns: int, count: int) -> None:
        """Compute and store some columns of the first `count` blocks of the task's chunk."""
        code, lanes = body.code, body.output.layout.block
        starts = [self.layer.bias(body, task.chunk * self.tile.blocks + b) for b in range(count)]
        totals = [
            [code.register(start, lanes, "int32") for start in starts] for _ in range(columns)
        ]
        start, step = self._input(task, first)
        self._products(body, task, code.name(start), step, totals)
        for place, total in self._outputs(body, task, first, totals):
            self.layer.store(body, place, total.value)

    def _longest(self, totals: Totals) -> int:
        """All: sums are exact."""
        return math.prod(self.window.weight.shape[1:])

    def _multiply(
        self,
        code: Code,
        sums: Totals,
        inputs: tuple[Any, Expr],
        step: int,
        weights: tuple[Any, Expr],
        channels: int,
        ahead: Ahead | None,
    ) -> None:
        """Word by word; behind the last channel weights are zero."""
        own, blocks = self.products, len(sums[0])
        first, start = code.base(inputs[1]), code.base(weights[1])
        part = own.width * own.lanes
        row = WORD * own.lanes * self.tile.blocks
        words = -(-channels // WORD)
        each = own.instructions * blocks * len(sums)
        together = largest_divisor(words, max(1, UNROLLED // each))
        with code.loop(words // together) as outer:
            read, packed = code.base(outer * (together * WORD)), code.base(outer * (together * row))
            for inner in range(together):
                at = start + packed + inner * row
                operands = [
                    own.operands(code, inputs[0], first + read + (inner * WORD + column * step))
                    for column in range(len(sums))
                ]
                for number in range(own.parts):
                    line = at + number * (part * self.tile.blocks)
                    vectors = [
                        own.weights(code, weights[0], line + b * part) for b in range(blocks)
                    ]
                    for column, registers in enumerate(sums):
                        for factors, total in zip(vectors, registers, strict=True):
                            added = own.add(total.value, operands[column][number], factors)
                            code.set(total, added)


def _kernel(tiles: WordTiles, blocking: Blocking) -> Kernel:
    width = tiles.tile.blocks * tiles.products.lanes
    weight = packed(tiles.window.weight, tiles.window.block, width, tiles.products)
    weights = {"weight": Weight(weight, INT8), **tiles.layer.weights()}
    return Kernel("words", weights, Loops(tiles, blocking).write)


def packed(weight: Expression, block: int, outputs: int, products: Products) -> Expression:
    """[filters/outputs, channels/block, *kernel, block/4, parts, outputs, 4/parts], zeros added."""
    filters, channels, *kernel = weight.shape
    chunks, inner = -(-filters // outputs), -(-channels // block)
    missing = ((0, chunks * outputs - filters), (0, inner * block - channels))
    full = pad(weight, (*missing, *((0, 0),) * len(kernel)))
    words = reshape(full, (chunks, outputs, inner, block // WORD, WORD, *kernel))
    ordered = take(words, 4, products.order)
    parts = (products.parts, products.width)
    split = reshape(ordered, (chunks, outputs, inner, block // WORD, *parts, *kernel))
    axes = range(6, 6 + len(kernel))
    return transpose(split, (0, 2, *axes, 3, 4, 1, 5))


def _tiles(call: Call[Any]) -> list[WordTiles]:
    """The register tiles that differ as the outputs are walked, the best first."""
    products = Products.of(call.machine)
    layer = Layer(call, products.offset)
    plain, x, y, machine = layer.plain, call.x, call.output, call.machine
    window = Window.of(plain, WORD)
    if math.prod(y.spatial) == 1 and y.batch > 1:
        kind, columns = "batched", y.batch
    elif window.is_pointwise and x.spatial == y.spatial and x.rank > 0 and x.is_dense:
        kind, columns = "flat", math.prod(y.spatial)
    else:
        kind, columns = "rows", (y.spatial or (1,))[-1]
    found: dict[tuple[int, int], WordTiles] = {}
    for tile in _ranked(products, call, window.run, columns, exact=window.run < y.blocks):
        grid = Grid.of(kind, y.spatial, columns, tile.columns, machine.cores)
        tiles = WordTiles(plain, window, x, tile, grid, layer, products)
        found.setdefault((tile.blocks, grid.pieces.width), tiles)
    return list(found.values())


def _ranked(
    products: Products, call: Call[Any], blocks: int, columns: int, *, exact: bool
) -> list[Tile]:
    """Tiles by their cycles for a word of all outputs.

    If `exact`, `blocks` is a multiple of the tile's.
    """
    registers, issue = call.machine.registers, call.machine.issue

    def cycles(tile: Tile, width: int) -> float:
        multiplies = tile.blocks * width * products.instructions
        reads = width * (products.parts + (products.parts > 1)) + tile.blocks * products.parts
        return max((multiplies + reads / 2) / issue, reads / PER_CYCLE, LATENCY)

    def cost(tile: Tile) -> float:
        pieces = Pieces.of(columns, tile.columns)
        narrow = pieces.count - pieces.wide
        whole, rest = divmod(blocks, tile.blocks)

        def row(each: Tile) -> float:
            return pieces.wide * cycles(each, pieces.width) + narrow * cycles(
                each, pieces.width - 1
            )

        return whole * row(tile) + (row(Tile(rest, tile.columns)) if rest else 0)

    tiles = [
        Tile(b, r)
        for b in range(1, min(blocks, WIDEST) + 1)
        if blocks % b == 0 or not exact
        for r in range(1, min(columns, registers) + 1)
        if b * r + products.held(b) <= registers
    ]
    return sorted(tiles, key=cost)


def _blockings(tiles: WordTiles) -> list[Blocking]:
    """How tasks divide the work, the best division first; each goes through all input blocks."""
    call, window, grid, x, y = tiles.call, tiles.window, tiles.grid, tiles.x, tiles.call.output
    machine, inner = call.machine, window.inner
    samples = 1 if grid.kind == "batched" else y.batch
    positions = y.batch if grid.kind == "batched" else math.prod(y.spatial)
    words = math.prod(window.weight.shape[1:]) / WORD * tiles.products.instructions
    work = Work(
        rows=grid.rows,
        samples=samples,
        chunks=tiles.chunks,
        cycles=positions * words * y.blocks / (grid.rows * machine.issue),
        read=x.plane * x.blocks,
        written=y.plane * y.blocks * y.bytes,
        weights=inner * window.panel(tiles.tile.blocks) * tiles.chunks,
    )
    row_bytes = x.plane * x.blocks / grid.rows
    divisions = ranked_divisions(work, far(machine) / row_bytes, machine)
    return [Blocking(inner, 1, rows, chunks) for rows, chunks in divisions]
