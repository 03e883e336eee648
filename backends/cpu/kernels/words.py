"""Products of words: four bytes of neighbouring channels times as many weights for each lane.

A word holds four codes or two numbers of bfloat16. One innermost loop serves both; how a CPU
multiplies a word is told by subclasses of `Words`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.direct.products import Ahead
from cnndsl.backends.cpu.kernels.tiles import (
    LATENCY,
    PER_CYCLE,
    WIDEST,
    Pieces,
    Tile,
    largest_divisor,
)
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import Weight
from cnndsl.ir.algebra import pad, reshape, take, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.types import DType

UNROLLED = 24
"""Instructions that multiply in the body of the loop, about."""


@dataclass(frozen=True)
class Words(ABC):
    """How words are multiplied: in `parts` of so many, whose weights lie one part after another.

    `order` has the channels of the word in that order.
    """

    kind: str
    lanes: int
    order: tuple[int, ...]
    parts: int

    @property
    def size(self) -> int:
        """Numbers of a word."""
        return len(self.order)

    @property
    def width(self) -> int:
        """Weights of a lane in a part."""
        return self.size // self.parts

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """That of packed weights."""

    @property
    @abstractmethod
    def instructions(self) -> int:
        """Those that multiply and add a word."""

    @abstractmethod
    def held(self, blocks: int) -> int:
        """Registers beside the sums of so many blocks: weights, words, what LLVM loads early."""

    @abstractmethod
    def operands(self, code: Code, buffer: Any, index: Expr, count: int) -> Sequence[Any]:
        """The word at an index, for all lanes: what each part multiplies.

        Of its numbers `count` are those of channels. Weights behind them are zero.
        """

    @abstractmethod
    def weights(self, code: Code, buffer: Any, index: Expr) -> Any:
        """The weights of a part for all lanes."""

    @abstractmethod
    def add(self, code: Code, total: Register, operand: Any, weights: Any) -> None:
        """Add the products of a part to a sum."""

    def packed(self, weight: Expression, block: int, outputs: int) -> Weight:
        """[filters/outputs, channels/block, *kernel, block/size, parts, outputs, size/parts].

        Zeros are added.
        """
        filters, channels, *kernel = weight.shape
        chunks, inner = -(-filters // outputs), -(-channels // block)
        missing = ((0, chunks * outputs - filters), (0, inner * block - channels))
        full = pad(weight, (*missing, *((0, 0),) * len(kernel)))
        words = (chunks, outputs, inner, block // self.size)
        ordered = take(reshape(full, (*words, self.size, *kernel)), 4, self.order)
        split = reshape(ordered, (*words, self.parts, self.width, *kernel))
        axes = range(6, 6 + len(kernel))
        return Weight(transpose(split, (0, 2, *axes, 3, 4, 1, 5)), self.dtype)

    def add_products(
        self,
        code: Code,
        totals: Sequence[Sequence[Register]],
        inputs: tuple[Any, Expr],
        step: int,
        weights: tuple[Any, Expr],
        channels: int,
        blocks: int,
        ahead: Ahead | None = None,
        *,
        overlap: bool = False,
    ) -> None:
        """totals[column][block] += sum over channels c of x[c + column*step] * w[c][block].

        `inputs` and `weights` are buffers, with the index of their first number; weights are those
        of so many blocks, of which the first are read. What lies `ahead` is asked for on the way.

        Where words of columns `overlap`, LLVM is not to see many together: it would keep what
        columns share in registers, and then sums have none.
        """
        first, start = code.base(inputs[1]), code.base(weights[1])
        row = self.size * self.lanes * blocks

        def add(read: Expr, packed: Expr, count: int) -> None:
            source, factors = (inputs[0], first + read), (weights[0], start + packed)
            self._add_word(code, totals, source, step, factors, blocks, count)

        whole, rest = divmod(channels, self.size)
        each = self.instructions * len(totals) * len(totals[0])
        together = largest_divisor(whole, max(1, UNROLLED // each)) if whole else 1
        rounds = whole // together
        with code.loop(code.name(code.unforeseen(rounds)) if overlap else rounds) as outer:
            read, packed = (code.base(outer * (together * n)) for n in (self.size, row))
            index = code.base(outer) if ahead else outer
            for inner in range(together):
                if ahead:
                    ahead.ask(code, index, rounds, (inner, together))
                add(read + inner * self.size, packed + inner * row, self.size)
        if rest:
            add(whole * self.size, whole * row, rest)

    def _add_word(
        self,
        code: Code,
        totals: Sequence[Sequence[Register]],
        inputs: tuple[Any, Expr],
        step: int,
        weights: tuple[Any, Expr],
        blocks: int,
        count: int,
    ) -> None:
        part = self.width * self.lanes
        factors = [
            [
                self.weights(code, weights[0], weights[1] + (number * blocks + b) * part)
                for b in range(len(totals[0]))
            ]
            for number in range(self.parts)
        ]
        for column, registers in enumerate(totals):
            index = inputs[1] + column * step
            for operand, own in zip(
                self.operands(code, inputs[0], index, count), factors, strict=True
            ):
                for weight, total in zip(own, registers, strict=True):
                    self.add(code, total, operand, weight)

    def ranked_tiles(
        self, machine: Machine, blocks: int, columns: int, *, exact: bool
    ) -> list[Tile]:
        """Tiles by their cycles for a word of all outputs.

        If `exact`, `blocks` is a multiple of the tile's.
        """
        registers, issue = machine.registers, machine.issue

        def cycles(tile: Tile, width: int) -> float:
            multiplies = tile.blocks * width * self.instructions
            reads = width * (self.parts + (self.parts > 1)) + tile.blocks * self.parts
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
            if b * r + self.held(b) <= registers
        ]
        return sorted(tiles, key=cost)
