"""Depthwise and narrowly grouped convolution, one row of outputs of one channel block at a time.

Lane l of an output block needs, for input j of its group of size s, lane (l // s) * s + j of the
same input block: a permutation of one vector. With s = 1, depthwise convolution, there is nothing
to permute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.layout import Tensor
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import Pieces
from cnndsl.backends.tvm.tir import Code, Expr, Register, all_of, load, vector
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

SPARE = 4
"""Registers that are neither running totals nor hold weights or permuted inputs."""
FEWEST_COLUMNS = 6
"""Of a tile at least: as many sums as a core has under way."""


def row_pieces(op: Conv, width: int, columns: int, machine: Machine) -> Pieces:
    """The tiles of a row: as few as the registers allow."""
    held = op.kernel[-1] * width + width if width > 1 else 0
    return Pieces.of(columns, max(FEWEST_COLUMNS, machine.registers - SPARE - held))


def packed(weight: Expression, lanes: int) -> Expression:
    """[filters/lanes, *kernel, channels of a group, lanes], filled up with zeros."""
    filters, width, *kernel = weight.shape
    blocks = -(-filters // lanes)
    full = pad(weight, ((0, blocks * lanes - filters), *((0, 0),) * (1 + len(kernel))))
    split_up = reshape(full, (blocks, lanes, width, *kernel))
    return transpose(split_up, (0, *range(3, 3 + len(kernel)), 2, 1))


@dataclass(frozen=True)
class Depthwise:
    """The convolution `op`, with groups of `width` channels, of `x`.

    `weight` is packed, `bias` filled up to whole blocks or missing.
    """

    op: Conv
    width: int
    x: Tensor
    weight: Any
    bias: Any | None

    def row(
        self,
        code: Code,
        n: Expr,
        block: Expr,
        row: Sequence[Expr],
        pieces: Pieces,
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
        op, layout = self.op, self.x.layout
        lanes = layout.block
        start = vector(0.0, lanes) if self.bias is None else load(self.bias, block * lanes, lanes)
        totals = [code.register(start, lanes) for _ in range(columns)]
        *outer, across = op.kernel
        taps = math.prod(op.kernel)
        with code.box([range(k) for k in outer]) as offsets:
            axes = zip(corner[:-1], offsets, op.stride, op.dilation, op.pads, strict=False)
            rows = [i * s + o * d - before for i, o, s, d, (before, _) in axes]
            number: Expr = 0
            for offset, size in zip(offsets, outer, strict=True):
                number = number * size + offset
            weights = code.name((block * taps + number * across) * (self.width * lanes))
            first = corner[-1] * op.stride[-1] - op.pads[-1][0]
            index = layout.index(n, block, [*rows, first])
            self._multiply(code, code.base(index), code.base(weights), totals)
        return totals

    def _multiply(self, code: Code, index: Expr, weights: Expr, totals: Sequence[Register]) -> None:
        """Add the products of one row of the kernel, each input with all outputs it reaches.

        `index` is that of the first input, `weights` that of the row's first weight.
        """
        op, lanes, width = self.op, self.x.layout.block, self.width
        taps, stride, dilation = op.kernel[-1], op.stride[-1], op.dilation[-1]
        reached: dict[int, list[tuple[int, int]]] = {}
        for column in range(len(totals)):
            for tap in range(taps):
                reached.setdefault(column * stride + tap * dilation, []).append((column, tap))
        for position, pairs in sorted(reached.items()):
            inputs = load(self.x.buffer, index + position * lanes, lanes)
            for j in range(width):
                value = inputs
                if width > 1:
                    order = [
                        tirx.const(lane // width * width + j, "int32") for lane in range(lanes)
                    ]
                    value = code.register(tirx.Shuffle([inputs], order), lanes).value
                for column, tap in pairs:
                    weight = load(self.weight, weights + (tap * width + j) * lanes, lanes)
                    code.set(totals[column], totals[column].value + value * weight)
