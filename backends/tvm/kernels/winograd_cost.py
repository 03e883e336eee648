"""The cost model of Winograd convolution: which tiles, and how many of them at a time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

from cnndsl.backends.tvm.machine import Machine

SIZES = {1: (1,), 2: (2, 4), 3: (2, 4), 5: (2, 4), 7: (2, 4)}
"""Outputs of a tile on an axis by the size of the kernel, where the rounding error stays small."""
LARGEST = 36
"""Products of a tile at most: more lose too much by rounding if both axes are transformed."""
SHARED = 8 * 2**20
"""Bytes that the cache holds which all cores share."""
MEETING = 8000
"""Cycles until all cores have begun a phase and ended it."""


@dataclass(frozen=True)
class Shape:
    """A convolution with stride 1: sizes of the kernel and the output, channels of a group."""

    kernel: tuple[int, ...]
    spatial: tuple[int, ...]
    channels: int
    filters: int
    groups: int
    samples: int

    @property
    def pairs(self) -> int:
        """Pairs of an input and an output channel."""
        return self.channels * self.filters * self.groups


@dataclass(frozen=True)
class Chunks:
    """`tiles` of a chunk, and whether each core has chunks of its own."""

    private: bool
    tiles: int


def best_transforms(shape: Shape, machine: Machine) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper."""
    best = next(iter(ranked_transforms(shape, machine)), None)
    if best is None:
        return None
    taps = math.prod(shape.kernel)
    products = shape.samples * math.prod(shape.spatial) * taps * shape.pairs
    weights = taps * shape.pairs * 4
    direct = products / (2 * machine.lanes) / machine.cores
    direct += weights / bytes_per_cycle(weights, machine) / machine.cores + MEETING
    return best if cycles(shape, best, machine) < direct else None


@cache
def ranked_transforms(shape: Shape, machine: Machine) -> tuple[tuple[int, ...], ...]:
    """Outputs of all tiles by axis, the cheapest first."""
    if max(shape.kernel) == 1 or any(size not in SIZES for size in shape.kernel):
        return ()
    tiles = [
        tile
        for tile in itertools.product(*(SIZES[size] for size in shape.kernel))
        if 1 in shape.kernel or _points(shape, tile) <= LARGEST
    ]
    return tuple(sorted(tiles, key=lambda tile: cycles(shape, tile, machine)))


@cache
def ranked_chunks(shape: Shape, tile: tuple[int, ...], machine: Machine) -> tuple[Chunks, ...]:
    """How the tiles can be divided, the cheapest way first."""
    total = _count(shape, tile)
    sizes = {-(-total // parts) for parts in range(1, total + 1)}
    choices = [Chunks(private, size) for size in sizes for private in (True, False)]

    def cost(chunks: Chunks) -> tuple[float, int]:
        return _overhead(shape, tile, chunks, machine), chunks.tiles

    return tuple(sorted(choices, key=cost))


def cycles(shape: Shape, tile: tuple[int, ...], machine: Machine) -> float:
    """Cycles until all cores are done: products, transforms, and what the caches cost."""
    points, count = _points(shape, tile), _count(shape, tile)
    vectors = count * points * (shape.channels + shape.filters) * shape.groups / machine.lanes
    sizes = [m + r - 1 for m, r in zip(tile, shape.kernel, strict=True)]
    transforms = vectors * (2 + sum(sizes) / 3) / machine.cores
    return transforms + _overhead(shape, tile, ranked_chunks(shape, tile, machine)[0], machine)


def _overhead(shape: Shape, tile: tuple[int, ...], chunks: Chunks, machine: Machine) -> float:
    """Cycles of the products, as they are divided, and to move weights and tiles."""
    points, count, cores = _points(shape, tile), _count(shape, tile), machine.cores
    number = -(-count // chunks.tiles)
    weights = points * shape.pairs * 4
    one_tile = points * (shape.channels + shape.filters) * shape.groups * 4
    multiply = points * shape.pairs * chunks.tiles / (2 * machine.lanes)
    read = weights / bytes_per_cycle(weights, machine)
    move = 2 * one_tile * chunks.tiles / bytes_per_cycle(one_tile * chunks.tiles, machine)
    if chunks.private:
        return -(-number // cores) * (multiply + read + move) + MEETING
    return number * (multiply + read + move) / cores + 3 * number * MEETING


def bytes_per_cycle(size: int, machine: Machine) -> float:
    """What a core reads from the cache that holds so many bytes, or from memory, about."""
    if size <= machine.caches[1]:
        return 32
    shared, memory = (16, 8) if machine.is_amd else (8, 4)
    return shared if size <= SHARED else memory


def _points(shape: Shape, tile: tuple[int, ...]) -> int:
    return math.prod(m + r - 1 for m, r in zip(tile, shape.kernel, strict=True))


def _count(shape: Shape, tile: tuple[int, ...]) -> int:
    """Tiles of all samples."""
    return shape.samples * math.prod(-(-n // m) for n, m in zip(shape.spatial, tile, strict=True))
