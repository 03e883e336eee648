"""Offsets for buffers of known shape in one arena.

A buffer need not be a rectangle of time and address: the slices of a concat are written one by
one, and until then other buffers may use their bytes.

Smallest arenas are an NP-hard problem (dynamic storage allocation, Garey and Johnson 1979, SR2);
greedy placement in a good order is nearly always optimal for networks. The orders by size and by
breadth are those of Pisarchyk and Lee (2020), Efficient memory management for deep neural net
inference, sections 5.2 and 5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
"""Bytes; a cache line, and the widest vector."""


@dataclass(frozen=True)
class Rectangle:
    """Bytes from `low` up to `high` that are needed from step `first` to `last`, both included."""

    low: int
    high: int
    first: int
    last: int


@dataclass(frozen=True)
class Shape:
    """A buffer without a place: rectangles that keep their distances, the lowest at 0."""

    name: str
    parts: tuple[Rectangle, ...]

    @cached_property
    def size(self) -> int:
        """Bytes from end to end."""
        return max(part.high for part in self.parts)

    @cached_property
    def first(self) -> int:
        """The first step that needs any part."""
        return min(part.first for part in self.parts)

    @cached_property
    def last(self) -> int:
        """The last step that needs any part."""
        return max(part.last for part in self.parts)


ROUNDS = 8
"""How often each order is tried, with what did not fit put first."""

EFFORT = 50_000
"""How many shapes are placed, in all tries together, before the best so far is good enough."""

Offsets = Mapping[str, int]
Order = Callable[[Sequence[Shape]], list[Shape]]
Bytes: TypeAlias = npt.NDArray[np.int64]

Fit = Callable[[Bytes, Bytes, int], int]
"""An offset for the shape of a certain index, from the ends of ascending gaps: the lowest and the
highest offset that keep the shape within each."""


def by_size(shapes: Sequence[Shape]) -> list[Shape]:
    """The largest first."""
    return sorted(shapes, key=lambda s: (-s.size, s.first))


def by_breadth(shapes: Sequence[Shape]) -> list[Shape]:
    """Those live at the fullest step first, the largest of them first."""
    live = live_bytes(shapes)
    return sorted(shapes, key=lambda s: (-max(live[s.first : s.last + 1]), -s.size, s.first))


def by_duration(shapes: Sequence[Shape]) -> list[Shape]:
    """The longest-lived first."""
    return sorted(shapes, key=lambda s: (s.first - s.last, -s.size))


def by_start(shapes: Sequence[Shape]) -> list[Shape]:
    """As an allocator at run time would see them."""
    return sorted(shapes, key=lambda s: (s.first, -s.size))


ORDERS: tuple[Order, ...] = (by_size, by_breadth, by_duration, by_start)


def lowest(lows: Bytes, highs: Bytes, index: int) -> int:
    """First fit."""
    return int(lows[0])


def tightest(lows: Bytes, highs: Bytes, index: int) -> int:
    """Best fit."""
    return int(lows[(highs - lows).argmin()])


def either_end(lows: Bytes, highs: Bytes, index: int) -> int:
    """First fit, every other shape from the upper end; chains of operators alternate so."""
    return int(highs[-1]) if index % 2 else int(lows[0])


FITS: tuple[Fit, ...] = (lowest, either_end, tightest)


def arrange(shapes: Sequence[Shape]) -> Offsets:
    """The offset of each shape, from the best of several strategies.

    What an order leaves above the lower bound comes first in the next round: squeaky wheel
    optimisation, Joslin and Clements (1999).
    """
    bound = lower_bound(shapes)
    best: Offsets = {}
    least, left = None, EFFORT
    queues = {(order, fit): order(shapes) for order, fit in product(ORDERS, FITS)}
    for _ in range(ROUNDS):
        for strategy, queue in [*queues.items()]:
            offsets = place(queue, strategy[1], bound)
            end = arena_bytes(shapes, offsets)
            if least is None or end < least:
                best, least = offsets, end
            left -= len(shapes)
            if least <= bound or left < 0:
                return best
            again = sorted(queue, key=lambda s: offsets[s.name] + s.size <= bound)
            if again == queue:
                del queues[strategy]
            else:
                queues[strategy] = again
    return best


def place(shapes: Sequence[Shape], fit: Fit, ceiling: int) -> Offsets:
    """Put each shape in turn into a gap between those before it, below `ceiling` if possible."""
    offsets: dict[str, int] = {}
    placed = _Placed(sum(len(shape.parts) for shape in shapes))
    for index, shape in enumerate(shapes):
        lows, highs = _gaps(*placed.blocked(shape), ceiling - shape.size)
        offsets[shape.name] = fit(lows, highs, index)
        placed.add(shape, offsets[shape.name])
    return offsets


class _Placed:
    """Rectangles that have their places: a row for each, with its ends in bytes and in steps."""

    def __init__(self, most: int):
        self.rows = np.empty((4, most), np.int64)
        self.count = 0

    def add(self, shape: Shape, offset: int) -> None:
        """Add those of a shape."""
        for part in shape.parts:
            self.rows[:, self.count] = offset + part.low, offset + part.high, part.first, part.last
            self.count += 1

    def blocked(self, shape: Shape) -> tuple[Bytes, Bytes]:
        """Where a shape cannot start: between ends, of which those on the left ascend."""
        low, high, first, last = self.rows[:, : self.count]
        starts, ends = [], []
        for part in shape.parts:
            near = np.flatnonzero((first <= part.last) & (last >= part.first))
            starts.append(low[near] - part.high)
            ends.append(high[near] - part.low)
        start, end = np.concatenate(starts), np.concatenate(ends)
        order = start.argsort()
        return start[order], end[order]


def _gaps(starts: Bytes, ends: Bytes, highest: int) -> tuple[Bytes, Bytes]:
    """What blocked offsets leave up to `highest`, or else the first offset: lowest, highest."""
    after = np.maximum.accumulate(-_floor(-ends)) if ends.size else ends
    lows = np.maximum(np.concatenate([[0], after]), 0)
    highs = np.minimum(np.concatenate([starts, [highest]]), highest)
    free = np.flatnonzero(lows <= highs)
    if not free.size:
        return lows[-1:], lows[-1:]
    return lows[free], _floor(highs[free])


def arena_bytes(shapes: Iterable[Shape], offsets: Offsets) -> int:
    """Where the last shape ends."""
    return max((offsets[shape.name] + shape.size for shape in shapes), default=0)


def lower_bound(shapes: Sequence[Shape]) -> int:
    """The live bytes of the fullest step."""
    return max(live_bytes(shapes), default=0)


def live_bytes(shapes: Iterable[Shape]) -> list[int]:
    """For each step the bytes that are needed then."""
    parts = [part for shape in shapes for part in shape.parts]
    change = [0] * (max((part.last for part in parts), default=-1) + 2)
    for part in parts:
        change[part.first] += part.high - part.low
        change[part.last + 1] -= part.high - part.low
    return list(accumulate(change[:-1]))


def _floor(offset: Bytes) -> Bytes:
    return offset // ALIGNMENT * ALIGNMENT
