"""What pieces of one shape have in common, and what varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.decompile.program import Symbol, Value, symbols_in
from cnndsl.decompile.shapes import Column, Piece


@dataclass(eq=False)
class Table:
    """The values of pieces of one shape, a row for each, and which columns vary.

    Names from outside count as varying if the piece is to be `closed`, as that of a block is.
    `groups` gives for each varying column the first one that is equal to it.
    """

    columns: Sequence[Column]
    rows: list[list[Value]]
    closed: bool
    groups: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = {}
        first: dict[tuple[Value, ...], int] = {}
        for index, column in enumerate(zip(*self.rows, strict=True)):
            varies = any(value != column[0] for value in column)
            if varies or (self.closed and symbols_in(column[0])):
                self.groups[index] = first.setdefault(column, index)

    @property
    def varying(self) -> list[int]:
        """One column of each group."""
        return [index for index, first in self.groups.items() if index == first]

    def body_length(self, words: int) -> int:
        """The words of what the pieces have in common, with names for what varies."""
        return words + sum(
            column.words if index in self.groups else column.length(value)
            for index, (column, value) in enumerate(zip(self.columns, self.rows[0], strict=True))
        )

    def symbols(self) -> dict[int, Symbol]:
        """A new name for each group, by its first column."""
        return {index: Symbol(self.columns[index].name) for index in self.varying}

    def symbolic(self, piece: Sequence[Piece]) -> dict[int, Symbol]:
        """Put names into a piece for what varies; they are given by the first column."""
        symbols = self.symbols()
        places = [place for part in piece for place in part.places]
        for index, first in self.groups.items():
            container, key = places[index]
            container[key] = symbols[first]
        return symbols

    def arguments(self) -> list[tuple[Value, ...]]:
        """For each row the values that vary."""
        varying = self.varying
        return [tuple(row[index] for index in varying) for row in self.rows]
