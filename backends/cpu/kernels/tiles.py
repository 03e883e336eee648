"""The cost model of register tiles: how many outputs a loop keeps in vector registers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from cnndsl.backends.cpu.codegen.expressions import Expr, div
from cnndsl.backends.cpu.codegen.extents import Extent, Number, nominal, parts
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.machine import Machine

LOAD = 0.1
"""Cycles that a load takes from the multiply-adds beside it, though a core could do both."""
FAR_LOAD = 0.25
"""The same of a load from the second-level cache, where weights may lie."""
UNEVEN = 0.2
"""Share of the kernels whose cores work on different tiles of blocks, about."""
LATENCY = 4
"""Cycles from the start of a multiply-add to its result."""
PER_CYCLE = 2
"""Loads that start in one cycle."""
AHEAD = 2
"""Vectors that LLVM loads before they are needed, where inputs are loaded as vectors."""
WIDEST = 8
"""Output blocks of a tile at most."""


@dataclass(frozen=True)
class Tile:
    """`blocks` neighbouring output blocks times `columns` neighbouring output positions.

    For each input number, the tile loads `blocks` vectors of weights and `columns` scalars, and
    does blocks * columns multiply-adds. Where these take lanes of vectors, the inputs are loaded as
    such, and stay in registers.
    """

    blocks: int
    columns: int

    def cycles(self, columns: int, machine: Machine, weight: float = LOAD) -> float:
        """Cycles for one input number with so many of the columns in use.

        `weight` are those that the load of a vector of weights takes.
        """
        multiplies = self.blocks * columns
        inputs = columns / (machine.lanes if machine.multiplies_by_lane else 1)
        loads = self.blocks + inputs
        extra = LOAD * inputs + weight * self.blocks
        return max(multiplies / machine.issue, loads / PER_CYCLE, LATENCY) + extra


@dataclass(frozen=True)
class Pieces:
    """A row cut into pieces whose widths differ by at most one.

    `wide` of `count` pieces have `width` columns, the others one less.
    """

    count: int
    width: int
    wide: int

    @classmethod
    def of(cls, columns: int, limit: int) -> Pieces:
        """As few pieces as a limit of their width allows."""
        return cls.in_parts(columns, -(-columns // limit))

    @classmethod
    def in_parts(cls, columns: int, count: int) -> Pieces:
        """So many pieces, but at most one for each column."""
        count = min(count, columns)
        width = -(-columns // count)
        return cls(count, width, columns - count * (width - 1))

    def start(self, index: Expr) -> Expr:
        """The first column of a piece, if wide and narrow pieces are mixed evenly."""
        if self.wide == self.count:
            return index * self.width
        return index * (self.width - 1) + div(index * self.wide, self.count)

    def is_wide(self, index: Expr) -> Expr:
        """Whether a piece is a wide one, if they are mixed evenly."""
        if self.wide == self.count:
            return True
        return self.start(index + 1) - self.start(index) == self.width

    def narrow(self, code: Code, index: Expr) -> Iterator[tuple[Expr, int]]:
        """The first column, counted from that of the piece, and the width of all but wide ones."""
        yield 0, self.width - 1

    def walk(self, code: Code) -> Iterator[tuple[Expr, int]]:
        """The first column and the width of each piece, the wide ones first, in loops."""
        with code.loop(self.wide) as index:
            yield code.name(index * self.width), self.width
        if self.count > self.wide:
            with code.loop(self.count - self.wide) as index:
                narrow = self.width - 1
                yield code.name(self.wide * self.width + index * narrow), narrow


@dataclass(frozen=True)
class OpenPieces:
    """A row of an open number of columns in pieces of `width`, and a rest in smaller ones.

    The rest is cut into pieces each at most half as wide, rounded up, as the one before.
    """

    columns: Extent
    width: int

    @property
    def count(self) -> Number:
        """Pieces, the rest being one."""
        return parts(self.columns, self.width)

    def start(self, index: Expr) -> Expr:
        """The first column of a piece."""
        return index * self.width

    def is_wide(self, index: Expr) -> Expr:
        """Whether a piece is not the rest."""
        return self.start(index + 1) <= self.columns

    def narrow(self, code: Code, index: Expr) -> Iterator[tuple[Expr, int]]:
        """The first column, counted from that of the piece, and the width of each of its parts."""
        yield from self._parts(code, 0, self.columns - self.start(index))

    def walk(self, code: Code) -> Iterator[tuple[Expr, int]]:
        """The first column and the width of each piece, the wide ones first, in loops."""
        wide = self.columns // self.width
        with code.loop(wide) as index:
            yield code.name(index * self.width), self.width
        yield from self._parts(code, wide * self.width, self.columns - wide * self.width)

    def _parts(self, code: Code, first: Expr, rest: Expr) -> Iterator[tuple[Expr, int]]:
        width = self.width
        while width > 1:
            width = -(-width // 2)
            count = code.name(div(rest, width))
            with code.loop(count) as index:
                yield code.name(first + index * width), width
            first, rest = code.name(first + count * width), code.name(rest - count * width)


def pieces_of(columns: Number, limit: int) -> Pieces | OpenPieces:
    """A row in pieces of at most a width; if it is open, of that which they have nominally."""
    found = Pieces.of(nominal(columns), limit)
    return found if isinstance(columns, int) else OpenPieces(columns, found.width)


@cache
def ranked_tiles(
    machine: Machine, blocks: int, columns: int, *, exact: bool = False, weight: float = LOAD
) -> tuple[Tile, ...]:
    """All tiles that differ in blocks or in the pieces of a row, the cheapest first.

    If `exact`, `blocks` is a multiple of the tile's. `weight` is as for `Tile.cycles`.
    """
    tiles = [
        Tile(b, r)
        for b in range(1, min(blocks, WIDEST) + 1)
        if blocks % b == 0 or not exact
        for r in range(1, min(columns, machine.registers) + 1)
        if b * r + b + (r + AHEAD if machine.multiplies_by_lane else 1) <= machine.registers
    ]

    def row(tile: Tile) -> float:
        pieces = Pieces.of(columns, tile.columns)
        narrow = (pieces.count - pieces.wide) * tile.cycles(pieces.width - 1, machine, weight)
        return pieces.wide * tile.cycles(pieces.width, machine, weight) + narrow

    def cost(tile: Tile) -> float:
        whole, rest = divmod(blocks, tile.blocks)
        cycles = whole * row(tile) + (row(Tile(rest, tile.columns)) if rest else 0)
        chunks = -(-blocks // tile.blocks)
        idle = -chunks % machine.cores / chunks
        return cycles * (1 + UNEVEN * idle)

    different: dict[tuple[int, Pieces], Tile] = {}
    for tile in sorted(tiles, key=cost):
        different.setdefault((tile.blocks, Pieces.of(columns, tile.columns)), tile)
    return tuple(different.values())


def largest_divisor(number: int, limit: float) -> int:
    """The largest divisor of a number that is not over a limit; at least 1."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return max(d for d in (*small, *(number // d for d in small)) if d <= limit or d == 1)


def evenly(count: int, limit: float) -> int:
    """The size of the parts, but perhaps the last, of a count that is divided evenly.

    There are as few parts as a limit of their size allows.
    """
    parts = -(-count // max(1, int(limit)))
    return -(-count // parts)
