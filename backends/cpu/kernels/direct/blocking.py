"""How the loops of a direct convolution are cut so that what they read again is in a cache."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.extents import Number
from cnndsl.backends.cpu.codegen.layout import CACHE_LINE, Layout
from cnndsl.backends.cpu.kernels.direct.division import Work, ranked_divisions
from cnndsl.backends.cpu.kernels.direct.windows import Window
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces, Tile, evenly, pieces_of
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT
from cnndsl.ir.operators import Add
from cnndsl.ir.types import FLOAT32

DEPTHS = (1, 1 / 2, 2, 1 / 4, 4)
"""Parts of the input blocks to choose from, as multiples of what the cache holds."""
DISTANCE = 16
"""Lines of the cache from a weight to the one that is asked for where each is read once.

Intel's CPUs fetch too few lines on their own: large fully connected layers take an eighth longer.
"""


@dataclass(frozen=True)
class Grid:
    """How the outputs are walked: rows, one after another or in parallel, of pieces.

    Flat: the map is one long row, and each of its pieces counts as a row. Batched: one row whose
    columns are the samples. Else rows are those of the map.
    """

    kind: str
    rows: Number
    pieces: Pieces | OpenPieces

    @classmethod
    def of(
        cls, kind: str, spatial: tuple[Number, ...], columns: Number, limit: int, cores: int
    ) -> Grid:
        """The grid of rows of so many columns, in pieces of at most `limit`."""
        pieces = pieces_of(columns, limit)
        if isinstance(pieces, Pieces) and kind == "flat" and pieces.count > cores:
            pieces = Pieces.in_parts(columns, -(-pieces.count // cores) * cores)
        rows = {"flat": pieces.count, "batched": 1, "rows": math.prod(spatial[:-1])}
        return cls(kind, rows[kind], pieces)


@dataclass(frozen=True)
class Blocking:
    """A task computes `rows` rows of the grid for `chunks` tiles of output blocks.

    It goes through the input blocks in `parts` of `depth`. The weights of a part for one tile
    stay in a cache (`near`) while all rows are computed, and the inputs of a part in the
    second-level cache (`far`) while all tiles are. While a row is computed, a share of the weights
    for the next round of rows is asked for: so many `lines` of the cache for each kernel position
    of an input block. With a single row, it is what lies a `distance` of lines behind the weights.
    """

    depth: int
    parts: int
    rows: int
    chunks: int
    lines: int = 0
    distance: int = 0


def near(machine: Machine) -> int:
    """Bytes of weights that are read again and again while inputs pass by.

    They should lie in the first-level cache, or in the second where that one is fast enough.
    """
    first, second = machine.caches
    return second // 4 if machine.weights_are_far else first // 2


def far(machine: Machine) -> int:
    """Bytes of inputs that stay in the second-level cache of a core beside the weights."""
    return machine.caches[1] // 2


def kept(machine: Machine) -> int:
    """Bytes of weights that are not worth to be asked for.

    AMD's CPUs fetch in time what follows in memory, at least as much as a cache may have kept.
    """
    return far(machine) if machine.is_amd else machine.caches[0]


@dataclass(frozen=True)
class Cut:
    """What is to be cut: some rows of some samples; `x` is the layout of the operand.

    If it is `one_task` that computes them, only the parts of the input blocks are to be chosen.
    """

    call: Call[Any]
    window: Window
    tile: Tile
    grid: Grid
    x: Layout
    rows: int
    samples: int
    one_task: bool
    words: Words | None = None

    @property
    def _inner(self) -> int:
        return max(1, self.window.weight.shape[1] // self.window.block)

    @property
    def _chunks(self) -> int:
        return -(-self.call.output.blocks // self.tile.blocks)

    @property
    def _panel(self) -> int:
        """Bytes of the weights of an input block for one tile."""
        return self._bytes * self.window.panel(self.tile.blocks)

    @property
    def _bytes(self) -> int:
        """Those of a weight."""
        return self.words.dtype.bytes if self.words else FLOAT

    def depths(self) -> list[int]:
        """Input blocks of a part: as many as the cache holds, then fewer and more."""
        grid = self.grid
        pieces = grid.rows if grid.kind == "flat" else grid.rows * grid.pieces.count
        divisible = (
            _can_pause(self.call) and self.window.run > 1 and pieces > 1 and self.x.block > 1
        )
        if not divisible:
            return [self._inner]
        limit = near(self.call.machine) / self._panel
        return list(dict.fromkeys(evenly(self._inner, limit * share) for share in DEPTHS))

    def blockings(self, depth: int) -> list[Blocking]:
        """Those with parts of so many input blocks, the best first."""
        machine, grid, x, rows = self.call.machine, self.grid, self.x, self.rows
        whole = x.plane * x.blocks * x.bytes / grid.rows
        row_bytes = whole * min(1, depth * self.window.block / (x.blocks * x.block))
        y = self.call.output
        work = Work(
            rows=rows,
            samples=self.samples,
            chunks=self._chunks,
            cycles=self._row_cycles(),
            read=x.bytes * x.plane * x.blocks * rows // grid.rows,
            written=y.bytes * y.plane * y.blocks * rows // grid.rows,
            weights=self._inner * self._panel * self._chunks,
        )
        if self.one_task:
            divisions = [(rows, self._chunks)]
        else:
            divisions = ranked_divisions(work, far(machine) / row_bytes, machine)
        parts = -(-self._inner // depth)
        lines = self._panel // (math.prod(self.window.kernel) * CACHE_LINE)

        def blocking(together: int, chunks: int) -> Blocking:
            if work.weights < kept(machine):
                return Blocking(depth, parts, together, chunks)
            if together == 1:
                return Blocking(depth, parts, together, chunks, distance=DISTANCE)
            return Blocking(depth, parts, together, chunks, lines=-(-lines // together))

        return [blocking(together, chunks) for together, chunks in divisions]

    def _row_cycles(self) -> float:
        """Cycles of a row of the grid for all output blocks."""
        y, words = self.call.output, self.words
        positions = y.batch if self.grid.kind == "batched" else math.prod(y.spatial)
        inputs = math.prod(self.window.weight.shape[1:])
        each = words.instructions / words.size if words else 1
        return float(
            positions * inputs * each * y.blocks / (self.grid.rows * self.call.machine.issue)
        )


def _can_pause(call: Call[Any]) -> bool:
    """Whether partial sums may be kept where the results belong.

    They may not where the operand of a join lies, unless the sum starts with that operand, nor
    where they would be rounded.
    """
    return call.output.dtype == FLOAT32.name and (
        not call.in_place or (starts_with_sum(call) and call.joins == 1)
    )


def starts_with_sum(call: Call[Any]) -> bool:
    """Whether the operand of a join can be added before everything else."""
    return bool(call.epilogue) and isinstance(call.epilogue[0].op, Add)
