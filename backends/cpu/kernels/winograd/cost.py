"""The cost model of Winograd convolution: which tiles, and how many of them at a time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

from cnndsl.backends.cpu.codegen.extents import known
from cnndsl.backends.cpu.kernels.winograd.axis import Axis
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT

SIZES = {1: (1,), 2: (2, 4), 3: (2, 4), 5: (2, 4), 7: (2, 4)}
"""Outputs of a tile on an axis by the size of the kernel, where the rounding error stays small."""
LARGEST = 36
"""Products of a tile at most: more lose too much by rounding if both axes are transformed."""
SHARED_CACHE = 8 * 2**20
"""Bytes that the cache holds which all cores share."""
MOST = 32 * 2**20
"""Bytes of transformed tiles in work at a time: of 2048 channels on 65x65, more took longer."""
PRIVATE, SHARED, PANELS = MODES = "private", "shared", "panels"
"""Each core has chunks of its own; or all share the phases of a chunk; or each computes panels of
output blocks of a chunk, whose weights it transforms on one axis."""
STOPPED = 1.2
"""What products take longer by where sums are stored and loaded again every few input channels."""
TRANSFORM = 0.4
"""Cycles for each point that a vector of weights is transformed to, times the points of a row."""
PASSING = 1.5
"""Bytes in a cache for each of a transformed tile, as maps and weights pass by; not on AMD's CPUs,
whose shared cache is near."""
PANEL = 4
"""Output blocks of a panel, about."""
MEETING = 8000
"""Cycles until all cores have begun a phase and ended it."""
EXACT_ENOUGH = {(1, 1), (2, 3)}
"""Outputs and taps of tiles that are rounded to bfloat16: larger ones would enlarge the errors."""


@dataclass(frozen=True)
class Shape:
    """A convolution with stride 1: sizes of the kernel and the output, channels of a group.

    A product of numbers in their own format takes so much of the time of one of float32, `short`,
    and of its memory.
    """

    kernel: tuple[int, ...]
    spatial: tuple[int, ...]
    channels: int
    filters: int
    groups: int
    samples: int
    short: float = 1.0
    dilation: tuple[int, ...] = (1, 1)

    @property
    def pairs(self) -> int:
        """Pairs of an input and an output channel."""
        return self.channels * self.filters * self.groups

    def share(self, tile: tuple[int, ...]) -> float:
        """That part for the products of a tile, which are of float32 unless it is a small one."""
        return self.short if is_small(tile, self.kernel) else 1.0


@dataclass(frozen=True)
class Chunks:
    """`tiles` of a chunk, and how cores share the work; see the modes."""

    mode: str
    tiles: int


@cache
def best_transforms(shape: Shape, machine: Machine) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper."""
    best = next(iter(ranked_transforms(shape, machine)), None)
    if best is None:
        return None
    taps = math.prod(shape.kernel)
    products = shape.samples * math.prod(shape.spatial) * taps * shape.pairs
    weights = taps * shape.pairs * FLOAT * shape.short
    direct = products * shape.short / (_issue(shape, machine) * machine.lanes) / machine.cores
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
    """How the tiles can be divided, the cheapest way first: by panels if each core has one."""
    total = _count(shape, tile)
    sizes = quotients(total)
    enough = shape.filters * shape.groups >= PANEL * machine.lanes * machine.cores
    modes = MODES if enough and shape.share(tile) == 1 else (PRIVATE, SHARED)
    choices = [
        Chunks(mode, size)
        for size in sizes
        for mode in modes
        if size == 1 or _kept(shape, tile, size) * (1 if mode == SHARED else machine.cores) <= MOST
    ]

    def cost(chunks: Chunks) -> tuple[float, int]:
        return _cycles(shape, tile, chunks, machine), chunks.tiles

    return tuple(sorted(choices, key=cost))


def quotients(total: int) -> set[int]:
    """All sizes of the largest part when `total` things are divided evenly, rounded up.

    Those of n // k, for all k, are the numbers to the root of n, and n // k for such k.
    """
    root = math.isqrt(total - 1)
    small = range(min(root + 1, total))
    return {n + 1 for n in small} | {(total - 1) // k + 1 for k in range(1, root + 1)}


def cycles(shape: Shape, tile: tuple[int, ...], machine: Machine) -> float:
    """Cycles until all cores are done with the cheapest chunks."""
    return _cycles(shape, tile, ranked_chunks(shape, tile, machine)[0], machine)


def _cycles(shape: Shape, tile: tuple[int, ...], chunks: Chunks, machine: Machine) -> float:
    """Cycles until all cores are done: products, as they are divided, transforms, memory."""
    points, cores, lanes = _points(shape, tile), machine.cores, machine.lanes
    number = -(-_count(shape, tile) // chunks.tiles)
    inputs = points * shape.channels * shape.groups * chunks.tiles
    outputs = points * shape.filters * shape.groups * chunks.tiles
    each = 2 + sum(m + r - 1 for m, r in zip(tile, shape.kernel, strict=True)) / 3
    share = shape.share(tile)
    kept = _kept(shape, tile, chunks.tiles) * (1 if machine.is_amd else PASSING)
    moved = 8 / bytes_per_cycle(kept, machine)
    start, end = inputs * (each / lanes + moved * share), outputs * (each / lanes + moved)
    multiply = points * shape.pairs * chunks.tiles * share / (_issue(shape, machine) * lanes)
    read: float = FLOAT * points * shape.pairs * share
    if chunks.mode == PANELS:
        across = tile[1] + shape.kernel[1] - 1
        multiply *= STOPPED
        multiply += points * shape.pairs / lanes * across * TRANSFORM
        passes = shape.filters / (PANEL * lanes)
        multiply += passes * FLOAT * inputs / bytes_per_cycle(FLOAT * inputs, machine)
        read = read // across * shape.kernel[1]
        start *= cores
    wait = read / bytes_per_cycle(read, machine)
    inner = multiply + wait if read <= machine.caches[1] else math.hypot(multiply, wait)
    work = start + inner + end
    if chunks.mode == PRIVATE:
        return -(-number // cores) * work + MEETING
    meetings = 1 if chunks.mode == PANELS else 3 * number
    return number * work / cores + meetings * MEETING


def bytes_per_cycle(size: float, machine: Machine) -> float:
    """What a core reads from the cache that holds so many bytes, or from memory, about."""
    if size <= machine.caches[1]:
        return 32
    shared, memory = (16, 8) if machine.is_amd else (8, 4)
    return shared if size <= SHARED_CACHE else memory


def is_small(tile: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    """Whether tiles stay about as exact if they are rounded to bfloat16."""
    return EXACT_ENOUGH.issuperset(zip(tile, kernel, strict=True))


def _issue(shape: Shape, machine: Machine) -> float:
    """Products of vectors that a core begins in a cycle.

    Measured on Zen 4: one of words, or of float32, in vectors of 512 bits. Assumed for Intel's.
    """
    return 1 if shape.short < 1 and machine.extension == "avx512" else machine.issue


def _points(shape: Shape, tile: tuple[int, ...]) -> int:
    return math.prod(m + r - 1 for m, r in zip(tile, shape.kernel, strict=True))


def _kept(shape: Shape, tile: tuple[int, ...], tiles: int) -> float:
    """Bytes of a chunk's transformed inputs and of its products."""
    numbers = shape.channels * shape.share(tile) + shape.filters
    return FLOAT * _points(shape, tile) * numbers * shape.groups * tiles


def _count(shape: Shape, tile: tuple[int, ...]) -> int:
    """Tiles of all samples."""
    axes = map(Axis, tile, shape.dilation)
    counts = [axis.count(n) for axis, n in zip(axes, shape.spatial, strict=True)]
    return shape.samples * math.prod(map(known, counts))
