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

Offsets = Mapping[str, int]
Order = Callable[[Sequence[Shape]], list[Shape]]
Gap = tuple[int, int]
"""The lowest and the highest offset that keep a shape within the gap."""

Span = tuple[str, int, int]
"""A shape, and the distances from its offset between which, ends apart, another cannot start."""

Fit = Callable[[Sequence[Gap], int], int]
"""An offset, chosen from ascending gaps for the shape of a certain index."""


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


def lowest(gaps: Sequence[Gap], index: int) -> int:
    """First fit."""
    return gaps[0][0]


def tightest(gaps: Sequence[Gap], index: int) -> int:
    """Best fit."""
    return min(gaps, key=lambda gap: gap[1] - gap[0])[0]


def either_end(gaps: Sequence[Gap], index: int) -> int:
    """First fit, every other shape from the upper end; chains of operators alternate so."""
    return gaps[-1][1] if index % 2 else gaps[0][0]


FITS: tuple[Fit, ...] = (lowest, either_end, tightest)


def arrange(shapes: Sequence[Shape]) -> Offsets:
    """The offset of each shape, from the best of several strategies.

    What an order leaves above the lower bound comes first in the next round: squeaky wheel
    optimisation, Joslin and Clements (1999).
    """
    bound = lower_bound(shapes)
    forbidden = forbidden_spans(shapes)
    best: Offsets = {}
    least = None
    for order, fit in product(ORDERS, FITS):
        queue = order(shapes)
        for _ in range(ROUNDS):
            offsets = place(queue, forbidden, fit, bound)
            end = arena_bytes(shapes, offsets)
            if least is None or end < least:
                best, least = offsets, end
            if least <= bound:
                return best
            before = queue
            queue = sorted(queue, key=lambda s: offsets[s.name] + s.size <= bound)
            if queue == before:
                break
    return best


def place(
    shapes: Sequence[Shape], forbidden: Mapping[str, Sequence[Span]], fit: Fit, ceiling: int
) -> Offsets:
    """Put each shape in turn into a gap between those before it, below `ceiling` if possible."""
    offsets: dict[str, int] = {}
    for index, shape in enumerate(shapes):
        blocked = sorted(
            (offsets[other] + low, offsets[other] + high)
            for other, low, high in forbidden[shape.name]
            if other in offsets
        )
        offsets[shape.name] = fit(_gaps(blocked, ceiling - shape.size), index)
    return offsets


def forbidden_spans(shapes: Sequence[Shape]) -> dict[str, list[Span]]:
    """For each shape where it cannot start for the sake of the others."""
    found: dict[str, list[Span]] = {shape.name: [] for shape in shapes}
    live: list[Shape] = []
    for shape in by_start(shapes):
        live = [other for other in live if other.last >= shape.first]
        for other in live:
            for a, b in product(shape.parts, other.parts):
                if a.first <= b.last and b.first <= a.last:
                    found[shape.name].append((other.name, b.low - a.high, b.high - a.low))
                    found[other.name].append((shape.name, a.low - b.high, a.high - b.low))
        live.append(shape)
    return found


def _gaps(blocked: Iterable[tuple[int, int]], highest: int) -> list[Gap]:
    """What sorted spans of blocked offsets leave up to `highest`, or else the first offset."""
    gaps = []
    free = 0
    for start, end in blocked:
        if free <= min(start, highest):
            gaps.append((free, _floor(min(start, highest))))
        free = max(free, -_floor(-end))
    if free <= highest or not gaps:
        gaps.append((free, max(free, _floor(highest))))
    return gaps


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


def _floor(offset: int) -> int:
    return offset // ALIGNMENT * ALIGNMENT
