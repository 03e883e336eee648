"""Joins that differ in one branch only, which some of them do not have: the shortcuts of residuals.

Where the shape of the value changes, a shortcut projects it; elsewhere it is the value itself. Both
are one kind of block, with a test of the channels or the stride.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cnndsl.decompile.program import WIDTHS, Call, If, Item, Join, Program, Value
from cnndsl.decompile.shapes import Column, Piece, Shapes

LONGEST = 4
"""Items of a shortcut."""


def unite_shortcuts(program: Program) -> bool:
    """Write identities beside branches as shortcuts whose test fails, where others have some.

    Tells whether there are any. The values must be those of a graph, without names.
    """
    shapes = Shapes(program)
    families: dict[object, list[_Member]] = {}
    for member in _members(program, shapes):
        families.setdefault(member.family, []).append(member)
    united = [_unite(members) for members in families.values()]
    return any(united)


@dataclass(eq=False)
class _Member:
    """A join of two branches; `main` is the longer one."""

    join: Join
    position: int
    shapes: Shapes

    def _pieces(self, position: int) -> list[Piece]:
        return self.shapes.pieces[id(self.join.branches[position])]

    @property
    def family(self) -> tuple[object, ...]:
        """What is equal in those that can be united."""
        numbers = tuple(piece.number for piece in self._pieces(1 - self.position))
        return self.join.operator, self.position, numbers

    @property
    def shortcut(self) -> list[Item]:
        """The shorter branch."""
        return self.join.branches[self.position]

    @property
    def kind(self) -> tuple[int, ...]:
        """The shape of the shortcut."""
        return tuple(piece.number for piece in self._pieces(self.position))

    def values(self, *, main: bool) -> list[Value]:
        """The values in one of the branches."""
        pieces = self._pieces(1 - self.position if main else self.position)
        return [value for piece in pieces for value in piece.values()]

    def columns(self) -> list[Column]:
        """What the values of the longer branch feed."""
        known = self.shapes.known
        return [c for piece in self._pieces(1 - self.position) for c in known[piece.number].columns]


def _members(program: Program, shapes: Shapes) -> Iterator[_Member]:
    for chain in program.chains():
        for item in chain:
            if isinstance(item, Join) and len(item.branches) == 2:
                position = min((1, 0), key=lambda i: len(item.branches[i]))
                shortcut, main = item.branches[position], item.branches[1 - position]
                plain = all(isinstance(part, Call) for part in shortcut)
                if plain and len(shortcut) <= LONGEST and len(shortcut) < len(main):
                    yield _Member(item, position, shapes)


def _unite(members: list[_Member]) -> bool:
    without = [member for member in members if not member.shortcut]
    having = [member for member in members if member.shortcut]
    if not without or not having or len({member.kind for member in having}) != 1:
        return False
    columns = having[0].columns()
    tests = _tests(columns, having, without)
    sources = _sources(having)
    if tests is None or sources is None:
        return False
    pattern = having[0].shortcut
    for member in members:
        main = member.values(main=True)
        if member in without:
            values = [main[s] if isinstance(s, int) else s[0] for s in sources]
            member.shortcut[:] = _filled(pattern, values)
    for member in members:
        main = member.values(main=True)
        tested = [main[index] for _, index in tests]
        member.shortcut[:] = [If(tuple(test for test, _ in tests), tested, [*member.shortcut])]
    return True


def _tests(
    columns: Sequence[Column], having: Sequence[_Member], without: Sequence[_Member]
) -> list[tuple[str, int]] | None:
    """Tests that hold for those that have a shortcut alone, with the columns that they read."""
    widths = [("channels", i) for i, column in enumerate(columns) if column.name in WIDTHS]
    strides = [("stride", i) for i, column in enumerate(columns) if column.name == "stride"]
    pairs = [[width, stride] for width in widths for stride in strides]
    for tests in (*([width] for width in reversed(widths)), *([s] for s in strides), *pairs):
        wrong = any(_holds(member, tests) for member in without)
        if not wrong and all(_holds(member, tests) for member in having):
            return tests
    return None


def _holds(member: _Member, tests: Sequence[tuple[str, int]]) -> bool:
    main = member.values(main=True)
    return any(main[i] != (member.join.channels if t == "channels" else 1) for t, i in tests)


def _sources(having: Sequence[_Member]) -> list[int | tuple[Value]] | None:
    """For each value of a shortcut the value itself, or the column beside it that is equal."""
    main = list(zip(*(member.values(main=True) for member in having), strict=True))
    found: list[int | tuple[Value]] = []
    for column in zip(*(member.values(main=False) for member in having), strict=True):
        equal = [index for index, other in enumerate(main) if other == column]
        if len(set(column)) == 1:
            found.append((column[0],))
        elif equal:
            found.append(equal[-1])
        else:
            return None
    return found


def _filled(pattern: Sequence[Item], values: Sequence[Value]) -> list[Item]:
    """Calls like others, with these values."""
    waiting = iter(values)
    items = []
    for call in pattern:
        assert isinstance(call, Call)
        arguments = [None if old is None else next(waiting) for old in call.arguments]
        items.append(replace(call, arguments=arguments))
    return [*items]
