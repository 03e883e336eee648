"""What two pieces of a program have in common: their shape, and the places where they may differ.

The shape of an item is all of it but the values of its arguments and loops. Pieces of one shape
have their values in the same places, so that what varies between them are columns of a table.

The measure of length is the number of words: names, numbers and other values, one for each item of
a list and one for its brackets, one more for an argument that is written with its name. Arguments
that have their defaults are not written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.decompile.program import (
    Block,
    Call,
    Each,
    If,
    Item,
    Join,
    Layer,
    Let,
    Loop,
    Output,
    Program,
    Ref,
    Symbol,
    Term,
    Value,
    defaults_of,
    inside,
    names_of,
    symbols_in,
)

Place: TypeAlias = tuple[Any, Any]
"""A container and the key of a value in it."""


@dataclass(frozen=True)
class Column:
    """The name of what a place feeds, the words that a value takes there, and its default."""

    name: str
    words: int
    default: Value

    def length(self, value: Value) -> int:
        """How many words a value takes."""
        if self.default is not None and value == self.default:
            return 0
        return self.words - 1 + length_of(value)


@dataclass(frozen=True)
class Shape:
    """The words of a shape without values, and its columns."""

    words: int
    columns: tuple[Column, ...]


@dataclass(eq=False)
class Piece:
    """An item of a chain: the number of its shape, its places, the names it makes and reads."""

    number: int
    places: list[Place]
    length: int
    makes: list[Symbol] = field(default_factory=list)
    reads: Counter[Symbol] = field(default_factory=Counter)
    is_local: bool = False

    def values(self) -> list[Value]:
        """The values in the places."""
        return [container[key] for container, key in self.places]


def length_of(value: Value) -> int:
    """The words of a value."""
    if isinstance(value, tuple):
        return 1 + sum(map(length_of, value))
    return length_of(value.left) + length_of(value.right) + 1 if isinstance(value, Term) else 1


def _numbered(value: Value, places: Mapping[Symbol, int]) -> object:
    """A value whose symbols are told apart by their places alone."""
    match value:
        case Symbol():
            return Symbol, places[value]
        case Term():
            return value.operator, _numbered(value.left, places), _numbered(value.right, places)
        case tuple():
            return tuple(_numbered(item, places) for item in value)
    return value


class Shapes:
    """The shapes of the items of one program, which has to stay as it is meanwhile."""

    def __init__(self, program: Program):
        self.program = program
        self.numbers: dict[object, int] = {}
        self.known: list[Shape] = []
        self.columns: dict[object, tuple[Column, ...]] = {}
        self.pieces: dict[int, list[Piece]] = {}
        self.distances: dict[int, object] = {}
        for chain in (program.body, *(block.body for block in program.blocks)):
            self._measure(chain, [])
        chains = list(program.chains())
        for chain in reversed(chains):
            self.pieces[id(chain)] = [self._piece(item) for item in chain]
        self.chains = [self.pieces[id(chain)] for chain in chains]
        self.sources = chains

    def _measure(self, chain: Sequence[Item], kept: list[Symbol]) -> None:
        """For each kept value that is read, how many were kept since."""
        kept = list(kept)
        for item in chain:
            if isinstance(item, Ref):
                since = len(kept) - kept.index(item.symbol) if item.symbol in kept else None
                self.distances[id(item)] = since or item.symbol
            for inner in inside(item):
                self._measure(inner, kept)
            if isinstance(item, Let):
                kept.append(item.symbol)

    def _piece(self, item: Item) -> Piece:
        match item:
            case Call():
                return self._call(item)
            case Layer():
                return self._made((Layer, item.symbol), 1, (), [], is_local=True)
            case Ref():
                key = (Ref, self.distances[id(item)])
                return self._made(key, 1, (), [], reads=[item.symbol])
            case Join():
                inner = [self.pieces[id(branch)] for branch in item.branches]
                return self._around((Join, item.operator), 1 + len(inner), inner)
            case If():
                columns = tuple(
                    Column("filters" if t == "channels" else t, 3, None) for t in item.tests
                )
                places: list[Place] = [(item.values, i) for i in range(len(item.values))]
                inner = [self.pieces[id(item.body)]]
                return self._around((If, item.tests), 1, inner, columns, places)
            case Loop() | Each():
                return self._loop(item)
            case Let():
                piece = self._around((Let,), 2, [self.pieces[id(item.chain)]])
                piece.makes.append(item.symbol)
                return piece
            case Output():
                return self._made((Output, id(item)), 2, (), [])

    def _call(self, call: Call) -> Piece:
        given = tuple(i for i, value in enumerate(call.arguments) if value is not None)
        key = (call.callee, given)
        if key not in self.columns:
            known = self._columns(call)
            self.columns[key] = tuple(known[index] for index in given)
        places = [(call.arguments, index) for index in given]
        return self._made(key, 1, self.columns[key], places)

    def _columns(self, call: Call) -> list[Column]:
        """What arguments feed. A default that is another argument does not count."""
        callee = call.callee
        names, nothing = names_of(callee), [None] * len(call.arguments)
        if isinstance(callee, Block):
            return [Column(n, 1, d) for n, d in zip(names, callee.defaults, strict=True)]
        own = self.program.defaults.get(callee, {})
        found = zip(names, defaults_of(callee, nothing), strict=True)
        defaults = [(name, own.get(name, default)) for name, default in found]
        return [Column(name, 1 if d is None else 2, d) for name, d in defaults]

    def _loop(self, loop: Loop | Each) -> Piece:
        piece = self._around((type(loop), len(loop.symbols)), 2, [self.pieces[id(loop.body)]])
        shape = self.known[piece.number]
        bound: list[tuple[int, Any]] = []
        words = shape.words + len(loop.symbols)
        columns, places = (
            [Column("rows" if loop.symbols else "count", 1, None)],
            [(vars(loop), "rows")],
        )
        for index, (place, column) in enumerate(zip(piece.places, shape.columns, strict=True)):
            value = place[0][place[1]]
            if value in loop.symbols:
                bound.append((index, loop.symbols.index(value)))
                words += column.words
            elif (own := symbols_in(value)) and all(symbol in loop.symbols for symbol in own):
                places_of = {symbol: place for place, symbol in enumerate(loop.symbols)}
                bound.append((index, _numbered(value, places_of)))
                words += column.length(value)
            else:
                bound += [(index, id(loop))] if any(s in loop.symbols for s in own) else []
                places.append(place)
                columns.append(column)
        key = (piece.number, tuple(bound))
        result = self._made(key, words, tuple(columns), places, piece.reads, piece.is_local)
        result.makes = piece.makes
        return result

    def _around(
        self,
        key: tuple[object, ...],
        words: int,
        chains: list[list[Piece]],
        columns: tuple[Column, ...] = (),
        places: Iterable[Place] = (),
    ) -> Piece:
        """The piece of an item with chains inside, and columns of its own before theirs."""
        inner = [piece for chain in chains for piece in chain]
        numbers = tuple(tuple(piece.number for piece in chain) for chain in chains)
        shapes = [self.known[piece.number] for piece in inner]
        result = self._made(
            (*key, numbers),
            words + sum(shape.words for shape in shapes),
            (*columns, *(column for shape in shapes for column in shape.columns)),
            [*places, *(place for piece in inner for place in piece.places)],
        )
        result.is_local = any(piece.is_local for piece in inner)
        for piece in inner:
            result.makes += piece.makes
            result.reads += piece.reads
        return result

    def _made(
        self,
        key: object,
        words: int,
        columns: tuple[Column, ...],
        places: list[Place],
        reads: Iterable[Symbol] = (),
        is_local: bool = False,
    ) -> Piece:
        number = self.numbers.setdefault(key, len(self.known))
        if number == len(self.known):
            self.known.append(Shape(words, columns))
        values = [container[key] for container, key in places]
        length = words + sum(c.length(v) for c, v in zip(columns, values, strict=True))
        return Piece(number, places, length, reads=Counter(reads), is_local=is_local)
