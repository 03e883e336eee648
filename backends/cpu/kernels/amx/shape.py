"""How a convolution is cut into products of AMX tiles.

Rows of a tile A are neighbouring output positions, its words those that one of them reads; rows of
a tile B are words, its columns the outputs of a block. What tiles A are loaded from is a strip: the
operand of a few rows of outputs, all channels of a position side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cnndsl.backends.cpu.codegen.amx import ROWS, WORDS
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.tiles import evenly
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import reshape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, FullyConnected

SIDE = 2
"""Tiles of positions, and of outputs, that are multiplied with one another in registers."""
MOST_AXES = 2


@dataclass(frozen=True)
class Shape:
    """A convolution on a map of two axes, whose operand and result lie in blocks of `lanes`.

    `flat`: each output position reads one of the operand, and the map is one long row. `batched`:
    there is one output position, and samples take the place of positions. Else (`rows`) the rows
    are those of the map. `channels` and `filters` are those of one group.
    """

    kind: str
    batch: int
    groups: int
    channels: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    outputs: tuple[int, int]
    lanes: int
    size: int

    @classmethod
    def of(cls, call: Call[Any], words: Words) -> Shape | None:
        """That of a call, None if it is not one of AMX.

        Groups have to fill blocks, and maps have at most two axes.
        """
        op, x, y = call.op, call.x, call.output
        if not isinstance(op, Conv | FullyConnected) or not x.block == y.block == words.lanes:
            return None
        if x.rank > MOST_AXES or call.is_open:
            return None
        filters, channels, *kernel = weight_of(call).shape
        groups, steps = 1, ((1, 1), (1, 1), (0, 0))
        if isinstance(op, Conv):
            groups = op.groups
            before = _plane([before for before, _ in op.pads], 0)
            steps = _plane(op.stride), _plane(op.dilation), before
        filters //= groups
        if groups > 1 and (channels % x.block or filters % y.block):
            return None
        outputs = _plane(y.spatial)
        kind = "rows"
        if math.prod(kernel) == 1:
            kind = "flat"
        if outputs == (1, 1):
            kind = "batched"
        sizes = (y.batch, groups, channels, filters)
        return cls(kind, *sizes, _plane(kernel), *steps, outputs, words.lanes, words.size)

    @property
    def inner(self) -> int:
        """Blocks of the operand that a group has."""
        return -(-self.channels // self.lanes)

    @property
    def blocks(self) -> int:
        """Output blocks of a group."""
        return -(-self.filters // self.lanes)

    @property
    def pairs(self) -> int:
        """Pairs of output blocks of a group, the last perhaps of one block."""
        return -(-self.blocks // SIDE)

    @property
    def samples(self) -> int:
        """Samples that are computed one after another."""
        return 1 if self.kind == "batched" else self.batch

    @property
    def positions(self) -> int:
        """Outputs of a grid row for each filter."""
        kinds = {"flat": math.prod(self.outputs), "batched": self.batch, "rows": self.outputs[1]}
        return kinds[self.kind]

    @property
    def height(self) -> int:
        """Rows of the tiles of positions."""
        return evenly(self.positions, ROWS)

    @property
    def across(self) -> int:
        """Tiles of positions in a row of the grid."""
        return -(-self.positions // self.height) if self.kind == "rows" else 1

    @property
    def rows(self) -> int:
        """Rows of the grid: of the map, else of one tile each."""
        return self.outputs[0] if self.kind == "rows" else -(-self.positions // self.height)

    @property
    def taps(self) -> tuple[int, int]:
        """Kernel positions whose words do not follow one another in a strip, of each axis."""
        if self.kind != "rows":
            return 1, 1
        return self.kernel[0], self.kernel[1] // self.run

    @property
    def run(self) -> int:
        """Positions of a strip that are read together, whose words follow one another."""
        if self.kind != "rows":
            return math.prod(self.kernel)
        return self.kernel[1] if self.dilation[1] == 1 else 1

    @cached_property
    def _cut(self) -> tuple[int, int]:
        """Words of a position and words of a tile, such that a run has no part of a tile.

        Of all that take the fewest tiles, the fewest words.
        """
        least = -(-self.channels // self.size)
        found = []
        for words in range(least, least + WORDS):
            run = words * self.run
            count = -(-run // WORDS)
            while run % count:
                count += 1
            found.append((count, words))
        count, words = min(found)
        return words, words * self.run // count

    @property
    def words(self) -> int:
        """Words of a position in a strip; those behind the channels are zero."""
        return self._cut[0]

    @property
    def depth(self) -> int:
        """Words of a row of a tile of positions, and rows of a tile of weights."""
        return self._cut[1]

    @property
    def steps(self) -> int:
        """Tiles of a run."""
        return self.run * self.words // self.depth

    @property
    def products(self) -> int:
        """Products of tiles for one tile of sums."""
        return math.prod(self.taps) * self.steps

    @property
    def width(self) -> int:
        """Positions of a row of a strip."""
        if self.kind != "rows":
            return self.run
        reach = (self.outputs[1] - 1) * self.stride[1]
        return reach + (self.kernel[1] - 1) * self.dilation[1] + 1

    @property
    def distance(self) -> int:
        """Words between neighbouring positions of a tile in a strip."""
        return self.words * (self.stride[1] if self.kind == "rows" else self.run)

    def strip_rows(self, rows: Any) -> Any:
        """Rows of a strip for so many rows of the grid: for others than `rows`, its positions."""
        if self.kind != "rows":
            return rows * self.height
        return (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1

    def strip(self, rows: int) -> int:
        """Words of a strip for so many rows of the grid.

        Behind it is room for what tiles reach beyond the last position, and for what is written
        there before the words of the next position are.
        """
        positions: int = self.strip_rows(rows) * self.width
        return positions * self.words + ROWS * (self.distance + WORDS)


def weight_of(call: Call[Any]) -> Expression:
    """The weight of a call [filters, channels of a group, *kernel]; that of fc is the map."""
    if isinstance(call.op, FullyConnected):
        return reshape(call.weight, (call.op.units, call.x.channels, *call.x.spatial))
    return dense_weight(call)


def _plane(sizes: Sequence[Any], missing: int = 1) -> tuple[int, int]:
    """Sizes of two axes; those in front may be missing."""
    first, second = [missing] * (MOST_AXES - len(sizes)) + [*sizes]
    return first, second
