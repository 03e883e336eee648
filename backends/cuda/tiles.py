"""Which tile a matrix product is divided into, by a model of time on the architecture.

A block computes a tile of rows times columns. The model counts waves of blocks over the
multiprocessors, each as long as the slowest of three: multiply-adds, bytes from the second-level
cache, and the latency of a step. Its numbers are those of an H100; only ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.machine import Machine

STEP, ROW = 64, 80
"""Bytes of a row in one step, and from row to row in shared memory; see device/gemm.cuh."""
LATENCY = 700
"""Cycles until a copy from global memory has arrived."""
OVERHEAD = 2000
"""Cycles to start a block and to write its results."""
CLUSTER = 1000
"""Cycles to add up the parts of a cluster."""
BANDWIDTH = 40
"""Bytes that a multiprocessor reads in a cycle."""
RATES = {"f16": 1200, "tf32": 600, "f32": 110}
"""Multiply-adds of a multiprocessor in a cycle, as such kernels reach them."""
STAGES = (4, 3, 2)
RESIDENT = 1024
"""Threads on a multiprocessor at a time, as far as registers allow."""


@dataclass(frozen=True)
class Product:
    """A product to divide: rows, columns of a group, groups, steps of 64 bytes of a row."""

    rows: int
    columns: int
    groups: int
    steps: int


@dataclass(frozen=True)
class Tile:
    """What a block computes; `math` is its type in device/products.cuh.

    `weight_row` is the distance in bytes of columns of weights in shared memory.
    """

    rows: int
    columns: int
    threads: int
    math: str
    weight_row: int

    def shared(self, stages: int) -> int:
        """Bytes of shared memory: tiles on their way, or the sums."""
        copied = stages * (self.rows * ROW + self.columns * self.weight_row)
        return max(copied, self.rows * (self.columns + 4) * 4)


def _tensor(rows: int, columns: int, warps: tuple[int, int]) -> Tile:
    math = f"TensorCores<SELF, {rows}, {columns}, {warps[0]}, {warps[1]}>"
    return Tile(rows, columns, 32 * warps[0] * warps[1], math, ROW)


def _scalar(rows: int, columns: int, own: tuple[int, int]) -> Tile:
    math = f"Scalar<SELF, {rows}, {columns}, {own[0]}, {own[1]}>"
    return Tile(rows, columns, rows // own[0] * (columns // own[1]), math, STEP)


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
SCALAR = (
    _scalar(128, 128, (8, 8)),
    _scalar(128, 64, (8, 8)),
    _scalar(64, 64, (8, 4)),
    _scalar(128, 32, (8, 4)),
    _scalar(64, 32, (4, 4)),
    _scalar(32, 64, (4, 4)),
    _scalar(16, 64, (2, 4)),
)


@dataclass(frozen=True)
class Variant:
    """What tells the kernels for a product apart: the tile, how many blocks share its steps."""

    rows: int
    columns: int
    split: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}/{self.split}"


@dataclass(frozen=True)
class Choice:
    """A tile, how many blocks share the steps of one, and what the launch needs."""

    tile: Tile
    split: int
    stages: int
    grid: tuple[int, int, int]
    shared: int

    @property
    def variant(self) -> Variant:
        """Its name."""
        return Variant(self.tile.rows, self.tile.columns, self.split)


def choose_tile(
    product: Product, tiles: tuple[Tile, ...], machine: Machine, variant: Variant | None = None
) -> Choice:
    """The choice of that name, or else the one with the least time in the model."""
    ranked = rank_tiles(product, tiles, machine)
    return next((choice for choice in ranked if choice.variant == variant), ranked[0])


def rank_tiles(product: Product, tiles: tuple[Tile, ...], machine: Machine) -> list[Choice]:
    """All choices, those with the least time in the model first."""
    splits = (1, 2, 4, 8) if machine.arch.clusters else (1,)
    choices = [
        make_choice(product, tile, split, machine)
        for tile in tiles
        for split in splits
        if split == 1 or 2 * split <= product.steps
    ]
    return sorted(choices, key=lambda choice: cycles(product, choice, machine))


def make_choice(product: Product, tile: Tile, split: int, machine: Machine) -> Choice:
    """What follows from a tile and a number of blocks that share its steps."""
    stages = next(n for n in STAGES if tile.shared(n) <= machine.arch.shared)
    across = -(-product.rows // tile.rows) * split
    grid = (across, -(-product.columns // tile.columns), product.groups)
    return Choice(tile, split, stages, grid, tile.shared(stages))


def cycles(product: Product, choice: Choice, machine: Machine) -> float:
    """The time of a product in the model."""
    tile, arch = choice.tile, machine.arch
    blocks = choice.grid[0] * choice.grid[1] * choice.grid[2]
    resident = max(1, min(arch.shared // choice.shared, RESIDENT // tile.threads))
    waves = -(-blocks // (arch.processors * resident))
    together = min(resident, -(-blocks // arch.processors))
    depth = STEP // (2 if machine.precision.type == "Half" else 4)
    products = tile.rows * tile.columns * depth / RATES[machine.precision.name]
    copied = (tile.rows + tile.columns) * STEP / BANDWIDTH
    step = max(together * products, together * copied, LATENCY / (choice.stages - 1))
    steps = -(-product.steps // choice.split)
    return waves * (OVERHEAD + steps * step + (CLUSTER if choice.split > 1 else 0))
