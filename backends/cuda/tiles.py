"""Which tile a matrix product is divided into, by a model of time on the architecture.

A block computes a tile of rows times columns. The model counts waves of blocks over the
multiprocessors, each as long as its start, the slowest of three for all steps (multiply-adds,
bytes from the second-level cache, the latency of a step), and the writing of its results. Its
numbers are those of an H100; only ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.machine import Machine
from cnndsl.ir.types import FLOAT32

LATENCY = 700
"""Cycles until a copy from global memory has arrived."""
OVERHEAD = 1500
"""Cycles to start a block."""
CLUSTER = 1000
"""Cycles to add up the parts of a cluster."""
BANDWIDTH = 40
"""Bytes that a multiprocessor reads or writes in a cycle."""
RATES = {
    ("fma", "f32"): 110,
    ("mma", "tf32"): 600,
    ("mma", "f16"): 1200,
    ("wgmma", "f16"): 1650,
}
"""Multiply-adds of a multiprocessor in a cycle, by instruction, as such kernels reach them: of
halves it does 2048 at best."""
RESIDENT = 1024
"""Threads on a multiprocessor at a time, as far as registers allow."""


@dataclass(frozen=True)
class Product:
    """A product to divide: rows, columns of a group, groups, bytes of a row of the left matrix."""

    rows: int
    columns: int
    groups: int
    depth: int


@dataclass(frozen=True)
class Tile:
    """What a block computes, by the PTX instruction `unit` and its type in device/products.cuh.

    `step` are the bytes of a row that are multiplied at a time, `row` and `weight_row` the
    distances in bytes of rows and of columns of weights in shared memory. Of `stages`, the tiles
    in shared memory at a time, the first number that fits is taken.
    """

    rows: int
    columns: int
    threads: int
    unit: str
    math: str
    step: int
    row: int
    weight_row: int
    stages: tuple[int, ...]

    def shared(self, stages: int) -> int:
        """Bytes of shared memory: tiles on their way, or the sums."""
        copied = stages * (self.rows * self.row + self.columns * self.weight_row)
        return max(copied, self.rows * (self.columns + 4) * FLOAT32.bytes)

    def ahead(self, stages: int) -> int:
        """Steps whose copies are on their way while one is multiplied, and by wgmma another."""
        return stages - (2 if self.unit == "wgmma" else 1)

    def steps(self, product: Product) -> int:
        """The number of steps of a product."""
        return -(-product.depth // self.step)


def _tensor(rows: int, columns: int, warps: tuple[int, int]) -> Tile:
    math = f"TensorCores<SELF, {rows}, {columns}, {warps[0]}, {warps[1]}>"
    return Tile(rows, columns, 32 * warps[0] * warps[1], "mma", math, 64, 80, 80, (4, 3, 2))


def _warpgroups(rows: int, columns: int, count: int, stages: int) -> Tile:
    math = f"Warpgroups<SELF, {rows}, {columns}, {count}>"
    return Tile(rows, columns, 128 * count, "wgmma", math, 128, 128, 128, (stages,))


def _scalar(rows: int, columns: int, own: tuple[int, int]) -> Tile:
    math = f"Scalar<SELF, {rows}, {columns}, {own[0]}, {own[1]}>"
    threads = rows // own[0] * (columns // own[1])
    return Tile(rows, columns, threads, "fma", math, 64, 80, 64, (4, 3, 2))


TENSOR = (
    _tensor(128, 128, (2, 4)),
    _tensor(128, 64, (4, 2)),
    _tensor(64, 128, (2, 4)),
    _tensor(64, 64, (2, 2)),
    _tensor(128, 32, (4, 1)),
    _tensor(64, 32, (4, 1)),
    _tensor(32, 64, (2, 2)),
    _tensor(16, 64, (1, 4)),
)
WARPGROUPS = (
    _warpgroups(128, 256, 2, 4),
    _warpgroups(256, 128, 2, 4),
    _warpgroups(128, 128, 2, 3),
    _warpgroups(256, 64, 2, 4),
    _warpgroups(128, 64, 2, 3),
    _warpgroups(64, 128, 1, 4),
)
SCALAR = (
    _scalar(128, 128, (8, 8)),
    _scalar(128, 64, (8, 8)),
    _scalar(64, 64, (8, 4)),
    _scalar(128, 32, (8, 4)),
    _scalar(64, 32, (4, 4)),
    _scalar(32, 64, (4, 4)),
    _scalar(16, 64, (2, 4)),
)


def tiles_of(machine: Machine) -> tuple[Tile, ...]:
    """The tiles that a machine can compute: those whose rate for its precision is known."""
    known = (*SCALAR, *TENSOR, *(WARPGROUPS if machine.arch.warpgroups else ()))
    return tuple(tile for tile in known if (tile.unit, machine.precision.name) in RATES)


@dataclass(frozen=True)
class Choice:
    """A tile, its steps, how many blocks share them, and what the launch needs.

    `resident` blocks are on a multiprocessor at a time.
    """

    tile: Tile
    steps: int
    split: int
    stages: int
    grid: tuple[int, int, int]
    shared: int
    resident: int

    @property
    def name(self) -> str:
        """Which no other choice for a product has."""
        return f"{self.tile.unit} {self.tile.rows}x{self.tile.columns}/{self.split}"

    @property
    def part(self) -> int:
        """The steps of one block."""
        return -(-self.steps // self.split)


def rank_tiles(product: Product, machine: Machine) -> list[Choice]:
    """All choices, those with the least time in the model first."""
    splits = (1, 2, 4, 8) if machine.arch.clusters else (1,)
    choices = [
        make_choice(product, tile, split, machine)
        for tile in tiles_of(machine)
        for split in splits
        if split == 1 or 2 * split <= tile.steps(product)
    ]
    return sorted(choices, key=lambda choice: cycles(choice, machine))


def make_choice(product: Product, tile: Tile, split: int, machine: Machine) -> Choice:
    """What follows from a tile and a number of blocks that share its steps."""
    stages = next(n for n in tile.stages if tile.shared(n) <= machine.arch.shared)
    shared = tile.shared(stages)
    resident = max(1, min(machine.arch.shared // shared, RESIDENT // tile.threads))
    across = -(-product.rows // tile.rows) * split
    grid = (across, -(-product.columns // tile.columns), product.groups)
    return Choice(tile, tile.steps(product), split, stages, grid, shared, resident)


def cycles(choice: Choice, machine: Machine) -> float:
    """The time of a product in the model."""
    tile, arch, size = choice.tile, machine.arch, machine.precision.dtype.bytes
    blocks = choice.grid[0] * choice.grid[1] * choice.grid[2]
    waves = -(-blocks // (arch.processors * choice.resident))
    together = min(choice.resident, -(-blocks // arch.processors))
    products = tile.rows * tile.columns * (tile.step // size)
    products_time = products / RATES[tile.unit, machine.precision.name]
    copied = (tile.rows + tile.columns) * tile.step / BANDWIDTH
    step = max(together * products_time, together * copied, LATENCY / tile.ahead(choice.stages))
    written = together * tile.rows * tile.columns * size / BANDWIDTH / choice.split
    return waves * (OVERHEAD + choice.part * step + written + (CLUSTER if choice.split > 1 else 0))
