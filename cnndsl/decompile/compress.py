"""Repetition to blocks and loops, by what makes the program shorter.

Each round looks at all pieces of chains that occur twice, in any place and with any values, and
takes the block or the loops that save most words (see `shapes`). What varies between the pieces
becomes parameters of the block, or names of the loop; columns that are equal become one. It is the
greedy of Lempel and Ziv's grammar-based successors (Nevill-Manning, Witten: Inferring sequential
structure, 1997; Apostolico, Lonardi: Off-line compression by greedy textual substitution, 2000),
with values left open.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.decompile.program import (
    Block,
    Call,
    Item,
    Join,
    Loop,
    Program,
    Symbol,
    Value,
    copied,
    symbols_in,
)
from cnndsl.decompile.shapes import Piece, Shape, Shapes, length_of
from cnndsl.decompile.table import Table
from cnndsl.ir.operators.bases import Elementwise

LONGEST = 40
"""Items of a chain that a block or the body of a loop can have."""

NAMES = 5
"""Names that a loop can have."""

FEW = 3
"""Values of an argument by which pieces are told apart."""

PLAIN_BLOCK, BLOCK = 8, 3
"""Words that a block has to save, for it is one more thing to know; with a join it is known."""

TWO_ROUNDS = 5
"""Words that a loop with names has to save if it has two rounds only."""

Order: TypeAlias = tuple[bool, bool]

ORDERS: tuple[Order, ...] = ((True, True), (True, False), (False, True))
"""Whether loops, and whether blocks, are looked for first."""


def compress(program: Program, order: Order) -> None:
    """Find blocks and loops until none makes the program shorter.

    Greedy choices can go wrong, so there are several orders.
    """
    search, shortest = _Search(program), sys.maxsize
    while search.words < shortest:
        shortest = search.words
        loops, blocks = order
        found = search.best(loops=loops, blocks=blocks)
        if found is None and not (loops and blocks):
            found = search.best(loops=not loops, blocks=not blocks)
        if found is None:
            break
        found.apply(program)
        search = _Search(program)
    _dissolve(program)


def _dissolve(program: Program) -> None:
    """Write out the blocks that have come to save nothing."""
    for block in list(program.blocks):
        shapes = Shapes(program)
        body = sum(piece.length for piece in shapes.pieces[id(block.body)])
        calls = [
            (chain, index)
            for chain in program.chains()
            for index, item in enumerate(chain)
            if isinstance(item, Call) and item.callee is block
        ]
        written = [
            piece.length for chain, i in calls for piece in shapes.pieces[id(chain)][i : i + 1]
        ]
        definition = 2 + len(block.parameters) + body
        if len(calls) > 1 and len(calls) * body - definition - sum(written) > _price(block.body):
            continue
        for chain, index in sorted(calls, key=lambda call: -call[1]):
            call = chain[index]
            assert isinstance(call, Call)
            values = dict(zip(block.parameters, call.arguments, strict=True))
            chain[index : index + 1] = copied(block.body, values)
        program.blocks.remove(block)


def _price(body: Sequence[Item]) -> int:
    return BLOCK if any(isinstance(item, Join) for item in body) else PLAIN_BLOCK


def length(program: Program) -> int:
    """The words of a whole program."""
    return _length(program, Shapes(program))


def _length(program: Program, shapes: Shapes) -> int:
    bodies = [program.body, *(block.body for block in program.blocks)]
    words = sum(piece.length for body in bodies for piece in shapes.pieces[id(body)])
    return words + sum(_price(block.body) + 2 + len(block.parameters) for block in program.blocks)


@dataclass(frozen=True)
class _Place:
    """Where a piece begins: the number of its chain, and the item in it."""

    chain: int
    start: int


@dataclass(eq=False)
class _Found:
    """Pieces of `width` items, one for each instance of a block, or runs that become loops."""

    gain: int
    search: _Search
    width: int
    block: list[_Place] = field(default_factory=list)
    runs: list[tuple[_Place, int]] = field(default_factory=list)

    @property
    def rank(self) -> tuple[int, int]:
        """The gain; of equal ones, pieces that start with a join, a loop or a layer are better."""
        place = self.block[0] if self.block else self.runs[0][0]
        first = self.search.items[place.chain][place.start]
        if isinstance(first, Join | Loop):
            return self.gain, 2
        starts = isinstance(first, Call) and not _is_light(first)
        return self.gain, int(starts)

    def apply(self, program: Program) -> None:
        """Change the program."""
        search, width = self.search, self.width
        for place, count in sorted(self.runs, key=lambda run: -run[0].start):
            places = [_Place(place.chain, place.start + i * width) for i in range(count)]
            table = search.table(places, width)
            symbols = list(table.symbolic(search.piece(places[0], width)).values())
            rows: Value = count
            if symbols:
                rows = tuple(row[0] if len(row) == 1 else row for row in table.arguments())
            chain, end = search.items[place.chain], place.start + width
            loop = Loop(symbols, rows, chain[place.start : end])
            chain[place.start : place.start + count * width] = [loop]
        if self.block:
            self._define(program)

    def _define(self, program: Program) -> None:
        search, width = self.search, self.width
        table = search.table(self.block, width, closed=True)
        arguments = table.arguments()
        first = self.block[0]
        symbols = table.symbolic(search.piece(first, width))
        chain = search.items[first.chain]
        block = Block(list(symbols.values()), chain[first.start : first.start + width])
        block.defaults = [_likeliest(column)[0] for column in zip(*arguments, strict=True)]
        instances = list(zip(self.block, arguments, strict=True))
        for place, row in sorted(instances, key=lambda pair: -pair[0].start):
            call = Call(block, list(row), 0)
            search.items[place.chain][place.start : place.start + width] = [call]
        program.blocks.append(block)


class _Search:
    """Pieces of one program that occur twice."""

    def __init__(self, program: Program):
        self.shapes = Shapes(program)
        self.words = _length(program, self.shapes)
        self.items: list[list[Item]] = self.shapes.sources
        self.pieces = self.shapes.chains
        self.lengths = [self._sums(chain) for chain in self.pieces]
        self.total_reads = Counter[Symbol]()
        for piece in (piece for chain in self._outermost(program) for piece in chain):
            self.total_reads += piece.reads
        self.classes = list(self._classes())
        numbers: dict[tuple[Value, ...], int] = {}
        self.alike = [[self._number(piece, numbers) for piece in chain] for chain in self.pieces]

    @staticmethod
    def _number(piece: Piece, numbers: dict[tuple[Value, ...], int]) -> int:
        """A number that pieces of one shape share if their values are equal."""
        return numbers.setdefault((piece.number, *piece.values()), len(numbers))

    def _outermost(self, program: Program) -> Iterator[list[Piece]]:
        for chain in (program.body, *(block.body for block in program.blocks)):
            yield self.shapes.pieces[id(chain)]

    @staticmethod
    def _sums(chain: Sequence[Piece]) -> list[int]:
        sums = [0]
        for piece in chain:
            sums.append(sums[-1] + piece.length)
        return sums

    def _classes(self) -> Iterator[tuple[int, list[_Place]]]:
        """The pieces of equal shapes, by their width; those that occur twice grow by one item."""
        current: dict[object, list[_Place]] = {}
        for number, chain in enumerate(self.pieces):
            for start, piece in enumerate(chain):
                current.setdefault(piece.number, []).append(_Place(number, start))
        for width in range(1, LONGEST + 1):
            repeated = [places for places in current.values() if len(places) > 1]
            yield from ((width, places) for places in repeated)
            current = {}
            for index, places in enumerate(repeated):
                for place in places:
                    chain, end = self.pieces[place.chain], place.start + width
                    if end < len(chain):
                        current.setdefault((index, chain[end].number), []).append(place)

    def piece(self, place: _Place, width: int) -> list[Piece]:
        """The parts of a piece."""
        return self.pieces[place.chain][place.start : place.start + width]

    def length(self, place: _Place, width: int) -> int:
        """The words of a piece."""
        sums = self.lengths[place.chain]
        return sums[place.start + width] - sums[place.start]

    def table(self, places: Sequence[_Place], width: int, *, closed: bool = False) -> Table:
        """The values of pieces of one shape."""
        parts = self.piece(places[0], width)
        columns = [column for part in parts for column in self._shape(part).columns]
        rows = [
            [value for part in self.piece(place, width) for value in part.values()]
            for place in places
        ]
        return Table(columns, rows, closed)

    def _shape(self, piece: Piece) -> Shape:
        return self.shapes.known[piece.number]

    def best(self, *, loops: bool, blocks: bool) -> _Found | None:
        """What saves most words, if anything saves any."""
        bounds = []
        for width, places in self.classes:
            apart = _apart(places, width)
            most = sum(self.length(place, width) for place in apart)
            if blocks and len(apart) > 1:
                bound = most - self.length(apart[0], width) - len(apart) - 2
                bounds.append((bound, width, False, apart))
            if loops and len(places) > 1:
                bounds.append((most, width, True, places))
        best: _Found | None = None
        for bound, width, is_loop, places in sorted(bounds, key=lambda b: (-b[0], b[1])):
            if bound < (best.gain if best else 1):
                break
            found = (self._loops if is_loop else self._block)(places, width)
            if found is not None and found.rank > (best.rank if best else (0, 9)):
                best = found
        return best

    def _block(self, places: list[_Place], width: int) -> _Found | None:
        parts = self.piece(places[0], width)
        if width == 1 and isinstance(self.items[places[0].chain][places[0].start], Call):
            return None
        if not all(self._is_closed(self.piece(place, width)) for place in places):
            return None
        table = self.table(places, width, closed=True)
        if any(row[index] is None for row in table.rows for index in table.groups):
            return None
        body = table.body_length(sum(self._shape(part).words for part in parts))
        definition = 2 + len(table.varying) + body
        calls = len(places) + sum(
            _likeliest(column)[1] for column in zip(*table.arguments(), strict=True)
        )
        before = sum(self.length(place, width) for place in places)
        price = _price(self.items[places[0].chain][places[0].start : places[0].start + width])
        return _Found(before - definition - calls - price, self, width, block=places)

    def _loops(self, places: list[_Place], width: int) -> _Found | None:
        """The runs of pieces that save words as loops: those that are equal, or that vary."""
        best: _Found | None = None
        equal: dict[tuple[int, ...], list[_Place]] = {}
        for place in places:
            alike = tuple(self.alike[place.chain][place.start : place.start + width])
            equal.setdefault(alike, []).append(place)
        for groups in ([places], equal.values(), *self._by_column(places, width)):
            found = _Found(0, self, width)
            for run in (run for group in groups for run in _runs(group, width)):
                saved = self._loop_gain(*run, width)
                if saved > 0:
                    found.gain += saved
                    found.runs.append(run)
            if found.gain > (best.gain if best else 0):
                best = found
        return best

    def _by_column(self, places: list[_Place], width: int) -> Iterator[Iterable[list[_Place]]]:
        """The pieces by the values that they have in one place, for each place with few values."""
        rows = self.table(places, width).rows
        for column in set(zip(*rows, strict=True)):
            groups: dict[Value, list[_Place]] = {}
            for place, value in zip(places, column, strict=True):
                groups.setdefault(value, []).append(place)
            if 1 < len(groups) <= FEW:
                yield groups.values()

    def _loop_gain(self, place: _Place, count: int, width: int) -> int:
        places = [_Place(place.chain, place.start + i * width) for i in range(count)]
        parts = self.piece(place, count * width)
        if not self._keeps_inside(parts) or (
            any(part.makes for part in parts) and not self._is_closed(parts)
        ):
            return 0
        table = self.table(places, width)
        names = len(table.varying)
        if names > NAMES or any(row[i] is None for row in table.rows for i in table.groups):
            return 0
        body = table.body_length(sum(self._shape(part).words for part in parts[:width]))
        rows = sum(length_of(value) for row in table.arguments() for value in row)
        few = TWO_ROUNDS if names and count == 2 else 0
        header = 2 if not names else few + 2 + names + rows + (count if names > 1 else 0)
        return self.length(place, count * width) - body - header

    def _is_closed(self, parts: Sequence[Piece]) -> bool:
        """Whether a piece reads no names from outside, and nothing outside reads its names."""
        made = {symbol for part in parts for symbol in part.makes}
        reads = {symbol for part in parts for symbol in part.reads}
        local = any(part.is_local for part in parts)
        return not local and reads <= made and self._keeps_inside(parts)

    def _keeps_inside(self, parts: Sequence[Piece]) -> bool:
        """Whether nothing outside a piece reads what it keeps."""
        made = {symbol for part in parts for symbol in part.makes}
        if not made:
            return True
        reads: Counter[Symbol] = sum((part.reads for part in parts), Counter())
        return all(reads[symbol] == self.total_reads[symbol] for symbol in made)


def _is_light(call: Call) -> bool:
    """Whether it is an operator that goes with the one before it."""
    return not isinstance(call.callee, Block) and issubclass(call.callee, Elementwise)


def _likeliest(values: Sequence[Value]) -> tuple[Value, int]:
    """A default for the values of one argument, if there is one, and the words that are left."""
    words = sum(map(length_of, values))
    fixed = Counter(value for value in values if not symbols_in(value))
    value, count = next(iter(fixed.most_common(1)), (None, 0))
    left = 1 + words - count * length_of(value)
    return (value, left) if 2 * count > len(values) and left < words else (None, words)


def _apart(places: Sequence[_Place], width: int) -> list[_Place]:
    """The places that do not overlap, from the first in each chain."""
    found: list[_Place] = []
    for place in places:
        last = found[-1] if found else None
        if last is None or last.chain != place.chain or place.start >= last.start + width:
            found.append(place)
    return found


def _runs(places: Sequence[_Place], width: int) -> Iterator[tuple[_Place, int]]:
    """Where pieces follow one another, and how many."""
    starts: dict[int, set[int]] = {}
    for place in places:
        starts.setdefault(place.chain, set()).add(place.start)
    for chain, known in starts.items():
        end = -1
        for start in sorted(known):
            if start < end:
                continue
            count = 1
            while start + count * width in known:
                count += 1
            if count > 1:
                yield _Place(chain, start), count
                end = start + count * width
