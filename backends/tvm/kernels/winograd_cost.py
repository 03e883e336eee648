"""The cost model of Winograd convolution: which tiles, and how many of them at a time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from cnndsl.backends.tvm.machine import Machine

SIZES = {1: (1,), 2: (2, 4), 3: (2, 4), 5: (2, 4), 7: (2, 4)}
"""Outputs of a tile on an axis by the size of the kernel, where the rounding error stays small."""
LARGEST = 36
"""Products of a tile at most: more lose too much by rounding if both axes are transformed."""
NEAR, FAR = 2**20, 6 * 2**20
"""Bytes that the second-level caches hold; bytes that the shared cache holds."""


@dataclass(frozen=True)
class Shape:
    """A convolution with stride 1: sizes of the kernel and the output, channels of a group."""

    kernel: tuple[int, ...]
    spatial: tuple[int, ...]
    channels: int
    filters: int
    groups: int

    @property
    def pairs(self) -> int:
        """Pairs of an input and an output channel."""
        return self.channels * self.filters * self.groups


def best_transforms(shape: Shape, machine: Machine) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper."""
    if max(shape.kernel) == 1 or any(size not in SIZES for size in shape.kernel):
        return None
    tiles = [
        tile
        for tile in itertools.product(*(SIZES[size] for size in shape.kernel))
        if 1 in shape.kernel or _points(shape, tile) <= LARGEST
    ]
    if not tiles:
        return None
    best = min(tiles, key=lambda tile: cycles(shape, tile, machine))
    products = math.prod(shape.spatial) * math.prod(shape.kernel) * shape.pairs
    weights = math.prod(shape.kernel) * shape.pairs * 4
    direct = products / (2 * machine.lanes) + weights / bytes_per_cycle(weights)
    return best if cycles(shape, best, machine) < direct else None


def best_rows(shape: Shape, tile: tuple[int, ...], machine: Machine) -> int:
    """Rows of tiles to work on at a time."""
    down = -(-shape.spatial[0] // tile[0])
    choices = sorted({-(-down // chunks) for chunks in range(1, down + 1)})
    return min(choices, key=lambda rows: (_traffic(shape, tile, rows), rows))


def cycles(shape: Shape, tile: tuple[int, ...], machine: Machine) -> float:
    """Cycles of one core for a sample: products, transforms, and what the caches cost."""
    points = _points(shape, tile)
    count = math.prod(-(-n // m) for n, m in zip(shape.spatial, tile, strict=True))
    products = count * points * shape.pairs / (2 * machine.lanes)
    vectors = count * points * (shape.channels + shape.filters) * shape.groups / machine.lanes
    sizes = [m + r - 1 for m, r in zip(tile, shape.kernel, strict=True)]
    transforms = vectors * (2 + sum(sizes) / 3)
    rows = best_rows(shape, tile, machine)
    return products + transforms + _traffic(shape, tile, rows)


def _traffic(shape: Shape, tile: tuple[int, ...], rows: int) -> float:
    """Cycles to move transformed weights, once a chunk, and transformed tiles, there and back."""
    points = _points(shape, tile)
    down, across = (-(-n // m) for n, m in zip(shape.spatial, tile, strict=True))
    weights = points * shape.pairs * 4
    row = points * across * (shape.channels + shape.filters) * shape.groups * 4
    chunks = -(-down // rows)
    tiles = 2 * row * down / bytes_per_cycle(row * rows)
    return chunks * weights / bytes_per_cycle(weights) + tiles


def bytes_per_cycle(size: int) -> float:
    """What a core reads from the cache that holds so many bytes, or from memory, about."""
    return 32 if size <= NEAR else 16 if size <= FAR else 8


def _points(shape: Shape, tile: tuple[int, ...]) -> int:
    return math.prod(m + r - 1 for m, r in zip(tile, shape.kernel, strict=True))
