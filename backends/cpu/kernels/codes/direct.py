"""Convolutions and fully connected layers on codes: the register tiles of `direct`, of words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.sums import Range
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.codes.widened import WideLoops
from cnndsl.backends.cpu.kernels.codes.words import WORD, Products
from cnndsl.backends.cpu.kernels.direct.blocking import Blocking, Grid
from cnndsl.backends.cpu.kernels.direct.family import Loops
from cnndsl.backends.cpu.kernels.direct.products import Totals
from cnndsl.backends.cpu.kernels.direct.tiles import DirectTiles, Task
from cnndsl.backends.cpu.kernels.direct.windows import Window
from cnndsl.backends.cpu.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.machine import AMX_INT8, Machine
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv

FEW = 2 * WORD
"""Channels of maps whose words at a position LLVM sees together with those of the next one."""


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
    if not is_linear(call) or block % WORD or call.output.block != block:
        return False
    return call.x.block == block or reads_rows(call.op.quantised.op, call.x.channels, call.machine)


def reads_rows(op: Operator, channels: int, machine: Machine) -> bool:
    """Whether words may be those of rows of an image: codes of some positions side by side.

    They may where words are multiplied as they lie in memory, not tiles of them.
    """
    if not isinstance(op, Conv) or channels > WORD or machine.lanes % WORD:
        return False
    if machine.multiplies_tiles(AMX_INT8):
        return False
    products = Products.of(machine)
    return op.groups == op.dilation[-1] == 1 and products.widened() == products


def behind_rows(op: Conv, channels: int) -> int:
    """Positions behind those of a row of the kernel that its last word reaches."""
    return -(-(-op.kernel[-1] * channels % WORD) // channels)


FAMILY = Family(candidates, _takes, padding)


@dataclass(frozen=True)
class WordTiles(DirectTiles):
    """Tiles of 32-bit sums, which are complete when they are stored."""

    layer: Layer

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

    def _positions(self, code: Code) -> list[Range]:
        """Those of the kernel, one by one where each has few words.

        LLVM would write out all of a row, and keep in registers what neighbouring columns share:
        then sums have none.
        """
        kernel = self.window.kernel
        if not kernel or self.window.weight.shape[1] > FEW:
            return super()._positions(code)
        *outer, size = kernel
        count = code.name(code.unforeseen(size))
        return [*(Range.whole(n) for n in outer), Range(0, count, size)]

    @property
    def _keeps_groups_apart(self) -> bool:
        """No: what a weight of zero multiplies is a number."""
        return False

    def _longest(self, totals: Totals) -> int:
        """All: sums are exact."""
        return math.prod(self.window.weight.shape[1:])


def _kernel(tiles: WordTiles, blocking: Blocking) -> Kernel:
    weights = {"weight": tiles.packed(), **tiles.layer.weights()}
    if tiles.x.is_codes:
        return Kernel("words", weights, Loops(tiles, blocking).write)
    loops = WideLoops(tiles, replace(blocking, lines=0, distance=0))
    return Kernel("words", weights, loops.write, loops.scratch, tiles.x.dtype)


def _tiles(call: Call[Any]) -> list[WordTiles]:
    """The register tiles that differ as the outputs are walked, the best first."""
    products = Products.of(call.machine).widened()
    layer = Layer(call, products.offset)
    plain, y, machine = layer.plain, call.output, call.machine
    x = replace(call.x, dtype=products.read.name)
    window = Window.of(plain, products.size)
    if x.block < WORD:
        window = window.by_rows(WORD)
    if math.prod(y.spatial) == 1 and y.batch > 1:
        kind, columns = "batched", y.batch
    elif window.is_pointwise and x.spatial == y.spatial and x.rank > 0 and x.is_dense:
        kind, columns = "flat", math.prod(y.spatial)
    else:
        kind, columns = "rows", (y.spatial or (1,))[-1]
    found: dict[tuple[int, int], WordTiles] = {}
    exact = window.run < y.blocks
    for tile in products.ranked_tiles(machine, window.run, columns, exact=exact):
        grid = Grid.of(kind, y.spatial, columns, tile.columns, machine.cores)
        tiles = WordTiles(plain, window, x, tile, grid, products, layer)
        found.setdefault((tile.blocks, grid.pieces.width), tiles)
    return list(found.values())


def _blockings(tiles: WordTiles) -> list[Blocking]:
    """How tasks divide the work, the best division first; each goes through all input blocks."""
    samples = 1 if tiles.grid.kind == "batched" else tiles.call.output.batch
    cut = tiles.cut(tiles.grid.rows, samples, one_task=False)
    return cut.blockings(tiles.window.inner)
