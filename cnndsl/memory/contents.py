"""A model of memory that knows of every byte which byte of which node's result it holds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True)
class Piece:
    """Bytes from `start` up to `end` that hold those from `source` on of a sample of a result."""

    start: int
    end: int
    node: str
    sample: int
    source: int

    @property
    def span(self) -> tuple[int, int]:
        """Start and end."""
        return self.start, self.end

    def part(self, start: int, end: int) -> Piece:
        """What lies within two addresses."""
        low, high = max(start, self.start), min(end, self.end)
        return Piece(low, high, self.node, self.sample, self.source + low - self.start)

    def moved(self, distance: int) -> Piece:
        """The same content elsewhere."""
        start, end = self.start + distance, self.end + distance
        return Piece(start, end, self.node, self.sample, self.source)

    def goes_on(self, after: Piece) -> bool:
        """Whether `after` is where this piece stops, in address and in content."""
        return (
            self.end == after.start
            and (self.node, self.sample) == (after.node, after.sample)
            and self.source + (self.end - self.start) == after.source
        )


class Memory:
    """The pieces of all memory that has been written, none overlapping another."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def read(self, start: int, end: int) -> list[Piece]:
        """The pieces between two addresses, cut to size."""
        first = bisect_right(self.pieces, start, key=attrgetter("end"))
        last = bisect_left(self.pieces, end, key=attrgetter("start"))
        return merged(piece.part(start, end) for piece in self.pieces[first:last])

    def write(self, new: list[Piece]) -> None:
        """Replace what lies where the new pieces, which have no gap, go."""
        start, end = new[0].start, new[-1].end
        first = bisect_right(self.pieces, start, key=attrgetter("end"))
        last = bisect_left(self.pieces, end, key=attrgetter("start"))
        old = self.pieces[first:last]
        before = [p.part(p.start, start) for p in old[:1] if p.start < start]
        after = [p.part(end, p.end) for p in old[-1:] if p.end > end]
        self.pieces[first:last] = [*before, *new, *after]


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours that hold one run of bytes become one piece."""
    result: list[Piece] = []
    for piece in pieces:
        if result and result[-1].goes_on(piece):
            before = result.pop()
            piece = Piece(before.start, piece.end, before.node, before.sample, before.source)
        result.append(piece)
    return result
