"""Convolution in groups of several channels that fit a vector, and give as many outputs.

A block holds lanes / width groups of `width` channels. Its outputs need input j of each group at a
time, for all outputs of the group. If the groups are narrow that is a permutation of the block
within parts of `QUAD` lanes. If a group is the whole block, it is one number, which a load repeats.
In between a permutation would compete with the multiply-adds. There the inputs are copied with
their groups interleaved, so that a load repeats input j of all of them; outputs are computed in
that order, and put back at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, load, mod, shuffled, vector
from cnndsl.backends.cpu.codegen.extents import Number
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.slabs import Slabs
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.direct.products import FLOATS_OF_LINE, LONG, apart
from cnndsl.backends.cpu.kernels.grouped.depthwise import kernel_rows, reached_outputs
from cnndsl.backends.cpu.kernels.kernel import Body, Call
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import pad, reshape, take, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

QUAD = 4
"""Lanes within which a permutation is cheap."""


@dataclass(frozen=True)
class NarrowGroups:
    """The convolution of a call, row by row of outputs in some pieces."""

    call: Call[Any]
    op: Conv
    pieces: Pieces | OpenPieces

    @property
    def _lanes(self) -> int:
        return self.call.machine.lanes

    @property
    def _width(self) -> int:
        return self.call.x.channels // self.op.groups

    @property
    def _is_interleaved(self) -> bool:
        return QUAD < self._width < self._lanes

    @property
    def _copy(self) -> int:
        """Floats of a copy of the inputs that a tile reads in a row."""
        op = self.op
        across = (self.pieces.width - 1) * op.stride[-1] + (op.kernel[-1] - 1) * op.dilation[-1] + 1
        return across * self._lanes if self._is_interleaved else 0

    @property
    def scratch(self) -> int:
        """Floats of memory besides: such a copy for each core."""
        return self._copy * self.call.machine.cores

    def weights(self) -> dict[str, Expression]:
        """[filters/lanes, *kernel, width, lanes] and the bias [filters/lanes, lanes].

        Both are filled up with zeros, and interleaved as the outputs are.
        """
        weight, lanes = dense_weight(self.call), self._lanes
        filters, width, *kernel = weight.shape
        order = interleaved(width, lanes) if self._is_interleaved else list(range(lanes))
        blocks = -(-filters // lanes)
        missing = (0, blocks * lanes - filters)
        full = pad(weight, (missing, *((0, 0),) * (1 + len(kernel))))
        split_up = take(reshape(full, (blocks, lanes, width, *kernel)), 1, order)
        found = {"weight": transpose(split_up, (0, *range(3, 3 + len(kernel)), 2, 1))}
        if self.op.bias:
            bias = reshape(pad(self.call.core.params["bias"], (missing,)), (blocks, lanes))
            found["bias"] = take(bias, 1, order)
        return found

    def write(self, body: Body) -> None:
        """All outputs."""
        code, machine = body.code, self.call.machine
        slabs = Slabs(self.call.output, machine.cores)
        with (
            code.share(machine.cores, *slabs.tasks) as (core, n, slab, block),
            slabs.rows(code, slab) as row,
        ):
            body.clear_halo(n, block, row)
            self._ask_for_weights(body, block, mod(row[0], slabs.size) if row else 0, slabs.size)
            for first, count in self.pieces.walk(code):
                corner = Place(n, block, (*row, first))
                for column, value in enumerate(self._tile(body, core, corner, count)):
                    body.write(Place(n, block, (*row, first + column)), value)

    def _ask_for_weights(self, body: Body, block: Expr, index: Expr, count: Number) -> None:
        """Ask for those of the next block: part number `index` of `count` parts."""
        if not isinstance(count, int):
            return
        size = math.prod(self.op.kernel) * self._width * self._lanes
        lines = -(-size // FLOATS_OF_LINE)
        share = -(-lines // count)
        start = body.code.name((block + 1) * size + index * (share * FLOATS_OF_LINE))
        for line in range(share):
            body.code.prefetch(body.weights["weight"], start + line * FLOATS_OF_LINE)

    def _tile(self, body: Body, core: Expr, corner: Place, columns: int) -> list[Expr]:
        """The vectors of some outputs of a row from `corner` on."""
        code, op, x, lanes, width = body.code, self.op, body.inputs[0], self._lanes, self._width
        start, weight = vector(0.0, lanes), body.weights["weight"]
        if op.bias:
            start = load(body.weights["bias"], corner.block * lanes, lanes)
        totals = [code.register(start, lanes) for _ in range(columns)]
        taps, reached = math.prod(op.kernel), reached_outputs(op, columns)
        first_block = self._first_block(corner.block)
        for index, number in kernel_rows(code, op, x, corner.n, first_block, corner.position):
            buffer, inputs = x.buffer, index
            if self._is_interleaved:
                buffer, inputs = body.scratch, code.base(core * self._copy)
                for position, _ in reached:
                    value = load(x.buffer, index + position * lanes, lanes)
                    value = shuffled([value], interleaved(width, lanes))
                    code.store(buffer, inputs + position * lanes, value, lanes)
            first = (corner.block * taps + number) * (width * lanes)
            with apart(code, totals, taps * width > LONG) as sums:
                for j in self._channels(code):
                    weights = code.base(first + j * lanes)
                    read = self._reader(code, buffer, corner.block, j)
                    for position, outputs in reached:
                        value = read(inputs + position * lanes)
                        for column, tap in outputs:
                            factor = load(weight, weights + tap * (width * lanes), lanes)
                            code.set(sums[column], sums[column].value + value * factor)
        if not self._is_interleaved:
            return [total.value for total in totals]
        back = interleaved(lanes // width, lanes)
        return [shuffled([total.value], back) for total in totals]

    def _channels(self, code: Code) -> Iterator[Expr]:
        """The numbers of a group's channels, in a loop unless permutations depend on them."""
        if self._width <= QUAD:
            yield from range(self._width)
        else:
            with code.loop(self._width) as j:
                yield code.name(j)

    def _first_block(self, block: Expr) -> Expr:
        """The input block whose index is given to readers, for an output block."""
        return block

    def _reader(self, code: Code, buffer: Any, block: Expr, j: Expr) -> Callable[[Expr], Expr]:
        """Channel j of each group for all outputs of the group, of the block at an index."""
        lanes, width = self._lanes, self._width
        groups = lanes // width

        def permuted(index: Expr) -> Expr:
            order = [lane // width * width + j for lane in range(lanes)]
            return code.register(shuffled([load(buffer, index, lanes)], order), lanes).value

        def repeated(index: Expr) -> Expr:
            numbers = load(buffer, index + j * groups, groups)
            if groups == 1:
                return vector(numbers, lanes)
            return shuffled([numbers] * width, range(lanes))

        return permuted if width <= QUAD else repeated


def interleaved(width: int, lanes: int) -> list[int]:
    """The lanes of a block in the order in which its groups of `width` are interleaved."""
    groups = lanes // width
    return [lane % groups * width + lane // groups for lane in range(lanes)]
