"""The operand of a pointwise convolution after its prologue, in bands that stay in a cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, div, minimum, split
from cnndsl.backends.cpu.codegen.layout import Layout, Place, Tensor
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.direct.blocking import Grid, far
from cnndsl.backends.cpu.kernels.direct.division import prefers_bands
from cnndsl.backends.cpu.kernels.grouped.depthwise import Depthwise, packed, row_pieces
from cnndsl.backends.cpu.kernels.kernel import Body, Call
from cnndsl.backends.cpu.kernels.tiles import evenly
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT
from cnndsl.ir.algebra import pad
from cnndsl.ir.expressions import Expression


def pays(weight: tuple[int, ...], positions: int, machine: Machine) -> bool:
    """Whether a depthwise convolution should be computed in bands of its pointwise reader.

    `weight` is that of the reader, [filters, channels, ...].
    """
    return is_heavy(weight, machine) and prefers_bands(weight, positions, machine)


def is_heavy(weight: tuple[int, ...], machine: Machine) -> bool:
    """Whether a 1x1 convolution takes long beside a pass over its operand, which waits for memory.

    It does if it reads so many weights for each position.
    """
    return FLOAT * math.prod(weight) >= far(machine)


@dataclass(frozen=True)
class Band:
    """`count` rows of a grid from `first` on, of sample `n`, that core `core` computes.

    `origin` is the number of the position that the core's part of the scratch memory starts with.
    """

    core: Expr
    n: Expr
    first: Expr
    count: Expr
    origin: Expr


@dataclass(frozen=True)
class Bands:
    """How a flat grid is divided into bands; `x` is the layout of the whole operand."""

    call: Call[Any]
    x: Layout
    grid: Grid

    @property
    def _samples(self) -> int:
        """Samples that a core computes alone; 0 if the cores share the rows of each."""
        whole, rest = divmod(self.call.output.batch, self.call.machine.cores)
        return 0 if rest else whole

    @property
    def _share(self) -> int:
        """Rows of a sample for each core."""
        rows: int = self.grid.rows
        return rows if self._samples else -(-rows // self.call.machine.cores)

    @property
    def rows(self) -> int:
        """Those of them in a band, which stays in the core's second-level cache.

        What single elements are computed from should stay there with it.
        """
        vectors = (1 if self.call.depthwise else 2) * self.grid.pieces.width * self.x.blocks
        row = self.x.bytes * vectors * self.x.block
        return evenly(self._share, far(self.call.machine) / row)

    @property
    def scratch(self) -> Layout:
        """The layout of a band for each core."""
        columns = max(self._columns(first, rows) for _, first, rows in self._all())
        size = self.x.blocks * columns * self.x.block
        none, cores = ((0, 0),), self.call.machine.cores
        return Layout(self.x.channels, (columns,), cores, self.x.block, none, size, self.x.dtype)

    def _all(self) -> Iterator[tuple[int, int, int]]:
        """Core, first row and number of rows of each band of a sample."""
        for core in range(1 if self._samples else self.call.machine.cores):
            stop = min(self.grid.rows, (core + 1) * self._share)
            for first in range(core * self._share, stop, self.rows):
                yield core, first, min(self.rows, stop - first)

    def _columns(self, first: int, rows: int) -> int:
        """Positions that are computed for a band: whole rows of the map if windows overlap."""
        start: int = self.grid.pieces.start(first)
        stop: int = self.grid.pieces.start(first + rows)
        if self.call.depthwise:
            width: int = self.x.spatial[-1]
            return (-(-stop // width) - start // width) * width
        return stop - start

    def weights(self) -> dict[str, Expression]:
        """The packed parameters of a depthwise convolution, if the prologue starts with one."""
        if self.call.depthwise is None:
            return {}
        block, params = self.x.block, self.call.prologue[0].params
        found = {"prologue0.weight": packed(params["weight"], block)}
        if "bias" in params:
            missing = self.x.blocks * block - self.x.channels
            found["prologue0.bias"] = pad(params["bias"], ((0, missing),))
        return found

    @contextmanager
    def walk(self, code: Code) -> Iterator[Band]:
        """Each band, in parallel on the cores."""
        rounds = self._samples or self.call.output.batch
        bands = code.loop(-(-self._share // self.rows))
        with code.parallel(self.call.machine.cores) as (core,), code.loop(rounds) as n, bands as i:
            begin = 0 if self._samples else core * self._share
            first = code.name(begin + i * self.rows)
            last = minimum(self.grid.rows, code.name(begin + self._share))
            count = code.name(minimum(self.rows, last - first))
            origin = self.grid.pieces.start(first)
            if self.call.depthwise:
                width = self.x.spatial[-1]
                origin = div(origin, width) * width
            sample = code.name(core * rounds + n) if self._samples else n
            yield Band(core, sample, first, count, code.name(origin))

    def fill(self, body: Body, x: Tensor, band: Band) -> None:
        """Compute what a band needs."""
        if self.call.depthwise:
            self._convolve(body, x, band)
        else:
            self._copy(body, x, band)

    def _convolve(self, body: Body, x: Tensor, band: Band) -> None:
        code, call, weights = body.code, self.call, body.weights
        assert call.depthwise is not None
        buffers = weights["prologue0.weight"], weights.get("prologue0.bias")
        convolution = Depthwise(call.depthwise, body.inputs[0], *buffers)
        *outer, width = self.x.spatial
        pieces = row_pieces(width, call.machine)
        start = code.name(self.grid.pieces.start(band.first) - band.origin)
        stop = code.name(self.grid.pieces.start(band.first + band.count) - band.origin)
        rows = code.name(div(stop + (width - 1), width))
        first = code.name(div(band.origin, width))
        with code.loop(self.x.blocks) as block, code.loop(rows) as index:
            row = [code.name(i) for i in split(code.name(first + index), outer)]
            begin = code.name(index * width)
            span = (start - begin, stop - begin)
            outputs = convolution.row(code, band.n, block, row, pieces, span)
            for column, total in outputs:
                place = Place(band.n, block, (*row, column))
                value = body.started(total.value, place, begun=1)
                x.store(code, Place(band.core, block, (begin + column,)), value)

    def _copy(self, body: Body, x: Tensor, band: Band) -> None:
        """Apply a prologue of functions of single elements, or of one position."""
        code, spatial = body.code, self.x.spatial
        columns = code.name(self.grid.pieces.start(band.first + band.count) - band.origin)
        is_dense = self.call.x.is_dense and not self.call.subsample

        def write(block: Expr) -> None:
            with code.loop(columns) as column:
                index = band.origin + column
                across = (*(0,) * (len(spatial) - 1), index)
                position = across if is_dense else tuple(split(code.name(index), spatial))
                value = body.read(Place(band.n, block, position))
                x.store(code, Place(band.core, block, (column,)), value)

        if self.call.is_shuffled:
            for block in range(self.x.blocks):
                write(block)
        else:
            with code.loop(self.x.blocks) as block:
                write(block)
