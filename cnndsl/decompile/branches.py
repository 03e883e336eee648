"""Branches of joins that differ in values only, as one branch for each round of a loop.

Heads of attention, pyramids of dilations and groups of channels are branches like these. Where all
that varies goes up in equal steps, as the bounds of slices do, the rounds are numbered:
`slice(16*i, 16*i + 16) for i in range(8)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from cnndsl.decompile.program import Each, Item, Join, Program, Symbol, Term, Value
from cnndsl.decompile.shapes import Piece, Shapes, length_of
from cnndsl.decompile.table import Table

FEWEST = 3
"""Branches of which a loop is made."""

NAMES = 3
"""Names that it can have."""

HEADER = 3
"""Words of a loop beside its names and rows."""


def unite_branches(program: Program) -> bool:
    """Write runs of branches of one shape as loops where this takes fewer words; are there any?"""
    shapes, found = Shapes(program), False
    for chain in shapes.sources:
        for item in chain:
            if isinstance(item, Join) and len(item.branches) >= FEWEST:
                found |= _unite(item, shapes)
    return found


def _unite(join: Join, shapes: Shapes) -> bool:
    def shape(branch: list[Item]) -> tuple[int, ...]:
        return tuple(piece.number for piece in shapes.pieces[id(branch)])

    found: list[list[Item]] = []
    for _, run in groupby(join.branches, key=shape):
        branches = list(run)
        found += _loop(branches, shapes) or branches
    is_shorter = len(found) < len(join.branches)
    join.branches[:] = found
    return is_shorter


def _loop(branches: Sequence[list[Item]], shapes: Shapes) -> list[list[Item]] | None:
    """One branch in the place of several, if it is shorter."""
    rounds = [shapes.pieces[id(branch)] for branch in branches]
    parts = rounds[0]
    if len(branches) < FEWEST or not parts or any(p.makes for pieces in rounds for p in pieces):
        return None
    known = [shapes.known[piece.number] for piece in parts]
    columns = [column for shape in known for column in shape.columns]
    rows = [[value for piece in pieces for value in piece.values()] for pieces in rounds]
    table = Table(columns, rows, closed=False)
    names = len(table.varying)
    if any(row[index] is None for row in rows for index in table.groups):
        return None
    before = sum(piece.length for pieces in rounds for piece in pieces) + len(branches) - 1
    body = table.body_length(sum(shape.words for shape in known)) + HEADER
    given = table.arguments()
    cells = sum(length_of(value) for row in given for value in row)
    listed = body + names + cells + (len(rows) if names > 1 else 0)
    steps = {index: _steps([row[index] for row in rows]) for index in table.varying}
    written = [length_of(_at(steps[first], Symbol(""))) - 1 for first in table.groups.values()]
    numbered = body + 2 + sum(written)
    if None not in steps.values() and numbered < min(listed, before):
        index = Symbol("i")
        _put(parts, {c: _at(steps[first], index) for c, first in table.groups.items()})
        return [[Each([index], len(rows), branches[0])]]
    if 0 < names <= NAMES and listed < before:
        symbols = table.symbolic(parts)
        values = tuple(row[0] if names == 1 else row for row in given)
        return [[Each(list(symbols.values()), values, branches[0])]]
    return None


def _steps(column: Sequence[Value]) -> tuple[int, int] | None:
    """The first value and the step of whole numbers that go up in equal steps."""
    if not all(type(value) is int for value in column):
        return None
    found = {b - a for a, b in pairwise(column)}
    return (column[0], found.pop()) if len(found) == 1 and min(found) > 0 else None


def _at(steps: tuple[int, int] | None, index: Symbol) -> Value:
    """The value in a round."""
    first, step = steps or (0, 1)
    scaled = index if step == 1 else Term("*", step, index)
    return Term("+", scaled, first) if first else scaled


def _put(parts: Sequence[Piece], values: dict[int, Value]) -> None:
    places = [place for piece in parts for place in piece.places]
    for column, value in values.items():
        container, key = places[column]
        container[key] = value
