"""Depthwise convolution, one row of outputs of one channel block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, all_of, load, vector
from cnndsl.backends.cpu.codegen.extents import Number
from cnndsl.backends.cpu.codegen.layout import Tensor
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.direct.products import LONG, apart
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces, pieces_of
from cnndsl.backends.cpu.machine import Machine
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

SPARE = 4
"""Registers that hold neither running totals nor weights."""
FEWEST_COLUMNS = 6
"""Of a tile at least: as many sums as a core has under way."""


def row_pieces(columns: Number, machine: Machine, held: int = 0) -> Pieces | OpenPieces:
    """The tiles of a row: as few as the registers allow, of which weights hold some."""
    return pieces_of(columns, max(FEWEST_COLUMNS, machine.registers - SPARE - held))


def packed(weight: Expression, lanes: int) -> Expression:
    """[filters/lanes, *kernel, lanes] of a weight [filters, 1, *kernel], filled up with zeros."""
    filters, _, *kernel = weight.shape
    blocks = -(-filters // lanes)
    full = pad(weight, ((0, blocks * lanes - filters), *((0, 0),) * (1 + len(kernel))))
    split_up = reshape(full, (blocks, lanes, *kernel))
    return transpose(split_up, (0, *range(2, 2 + len(kernel)), 1))


def reached_outputs(op: Conv, columns: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Every input position of a row that so many outputs read, and what it is read for.

    That is a list of columns of the outputs, and positions in the kernel.
    """
    taps, stride, dilation = op.kernel[-1], op.stride[-1], op.dilation[-1]
    reached: dict[int, list[tuple[int, int]]] = {}
    for column in range(columns):
        for tap in range(taps):
            reached.setdefault(column * stride + tap * dilation, []).append((column, tap))
    return sorted(reached.items())


def kernel_rows(
    code: Code, op: Conv, x: Tensor, n: Expr, block: Expr, corner: Sequence[Expr]
) -> Iterator[tuple[Expr, Expr]]:
    """For each row of the kernel, in a loop: index of the first input, number of the first weight.

    They are those of the output position `corner`.
    """
    *outer, across = op.kernel
    with code.box([range(k) for k in outer]) as offsets:
        axes = zip(corner[:-1], offsets, op.stride, op.dilation, op.pads, strict=False)
        rows = [i * s + o * d - before for i, o, s, d, (before, _) in axes]
        number: Expr = 0
        for offset, size in zip(offsets, outer, strict=True):
            number = number * size + offset
        first = corner[-1] * op.stride[-1] - op.pads[-1][0]
        yield code.base(x.layout.index(n, block, [*rows, first])), number * across


@dataclass(frozen=True)
class Depthwise:
    """The convolution `op` of `x`: `weight` is packed, a `bias` filled up to whole blocks."""

    op: Conv
    x: Tensor
    weight: Any
    bias: Any | None

    def row(
        self,
        code: Code,
        n: Expr,
        block: Expr,
        row: Sequence[Expr],
        pieces: Pieces | OpenPieces,
        span: tuple[Expr, Expr] | None = None,
    ) -> Iterator[tuple[Expr, Register]]:
        """The column and the sum of every output of a row: code that runs where it is asked for.

        Of a `span`, the first column and the one after the last, all are computed, of the others
        only those of the same pieces.
        """
        for first, count in pieces.walk(code):
            wanted = [first + count > span[0], first < span[1]] if span else []
            with code.when(all_of(wanted)):
                totals = self._tile(code, n, block, [*row, first], count)
                for index, total in enumerate(totals):
                    yield first + index, total

    def _tile(
        self, code: Code, n: Expr, block: Expr, corner: Sequence[Expr], columns: int
    ) -> list[Register]:
        """The sums of one row of outputs of one block; `corner` is the first."""
        lanes = self.x.layout.block
        start = vector(0.0, lanes) if self.bias is None else load(self.bias, block * lanes, lanes)
        totals = [code.register(start, lanes) for _ in range(columns)]
        taps = math.prod(self.op.kernel)
        for index, number in kernel_rows(code, self.op, self.x, n, block, corner):
            weights = code.base((block * taps + number) * lanes)
            with apart(code, totals, taps > LONG) as sums:
                for position, outputs in reached_outputs(self.op, columns):
                    value = self._number(code, index + position * lanes)
                    for column, tap in outputs:
                        weight = load(self.weight, weights + tap * lanes, lanes)
                        code.set(sums[column], sums[column].value + value * weight)
        return totals

    def _number(self, code: Code, index: Expr) -> Expr:
        """The vector of an input position."""
        return load(self.x.buffer, index, self.x.layout.block)
