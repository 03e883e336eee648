"""Parameters and names of loops that follow from others, or from the channels at hand.

What a program does is watched on the graph that its text makes: the values of all arguments, and
the channels that can be read where they are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnndsl.decompile.program import (
    CHANNELS,
    WIDTHS,
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
    calls,
    everything,
    has_lines,
    replaced,
    statements,
    symbols_in,
)
from cnndsl.ir.graph import Graph, Node

USUAL = (1, "same", False)
"""What is left out even if it is left out once."""

Seen = list[tuple[Value, int]]
"""The values of an argument, each with the channels at hand."""


def simplify(program: Program, graph: Graph) -> None:
    """Drop what follows from something else, and give parameters their defaults."""
    watched = _Watched(program, graph)
    program.sort_blocks()
    for block in program.blocks:
        _derive_parameters(program, block, watched)
        _set_widths(program, block, watched)
    for chain in program.chains():
        for item in chain:
            if isinstance(item, Loop | Each) and isinstance(item.rows, tuple):
                _derive_names(item, watched)
    for block in program.blocks:
        _set_defaults(program, block)


class _Watched:
    """Walks through a program as its elaboration does, which made the nodes of the graph."""

    def __init__(self, program: Program, graph: Graph):
        self.nodes = iter([graph[name] for name in graph.nx])
        self.instances: dict[Block, list[tuple[Value, ...]]] = {}
        self.arguments: dict[tuple[int, int], Seen] = {}
        self.entries: dict[tuple[int, int], Seen] = {}
        self.kept: dict[Symbol, Node] = {}
        flow = None
        for symbol, _ in program.inputs:
            flow = self.kept[symbol] = next(self.nodes)
        assert flow is not None
        self._chain(program.body, {}, flow, lines=True)

    def _chain(
        self, chain: Sequence[Item], values: dict[Symbol, Value], flow: Node, lines: bool = False
    ) -> Node:
        for statement in statements(chain, lines):
            channels = flow.type.channels
            for item in statement:
                if isinstance(item, Loop):
                    for row in self._rows(item, values):
                        own = has_lines(item, lines)
                        flow = self._chain(item.body, values | row, flow, own)
                else:
                    flow = self._item(item, values, flow, channels)
        return flow

    def _item(self, item: Item, values: dict[Symbol, Value], flow: Node, channels: int) -> Node:
        match item:
            case Call():
                return self._call(item, values, flow, channels)
            case Layer():
                return next(self.nodes)
            case Ref():
                return self.kept[item.symbol]
            case If():
                values_now = self._watch(item.values, values, channels)
                own = zip(item.tests, values_now, strict=True)
                if any(v != (channels if test == "channels" else 1) for test, v in own):
                    flow = self._chain(item.body, values, flow)
            case Join():
                for branch in item.branches:
                    self._branch(branch, values, flow)
                return next(self.nodes)
            case Let():
                self.kept[item.symbol] = self._chain(item.chain, values, flow)
            case Output():
                self._chain(item.chain, values, flow)
        return flow

    def _branch(self, branch: Sequence[Item], values: dict[Symbol, Value], flow: Node) -> None:
        if branch and isinstance(branch[0], Each):
            for row in self._rows(branch[0], values):
                self._chain(branch[0].body, values | row, flow)
        else:
            self._chain(branch, values, flow)

    def _call(self, call: Call, values: dict[Symbol, Value], flow: Node, channels: int) -> Node:
        given = self._watch(call.arguments, values, channels)
        if not isinstance(call.callee, Block):
            return next(self.nodes)
        block = call.callee
        for index, value in enumerate(given):
            entry = (value, flow.type.channels)
            self.entries.setdefault((id(call.arguments), index), []).append(entry)
        self.instances.setdefault(block, []).append(tuple(given))
        return self._chain(block.body, dict(zip(block.parameters, given, strict=True)), flow)

    def _watch(
        self, written: list[Value], values: dict[Symbol, Value], channels: int
    ) -> list[Value]:
        given = [replaced(value, values) for value in written]
        for index, value in enumerate(given):
            self.arguments.setdefault((id(written), index), []).append((value, channels))
        return given

    def _rows(
        self, loop: Loop | Each, values: dict[Symbol, Value]
    ) -> Iterable[dict[Symbol, Value]]:
        rows = replaced(loop.rows, values)
        if not loop.symbols:
            return [{}] * rows
        if type(rows) is int:
            return [{loop.symbols[0]: number} for number in range(rows)]
        return [dict(zip(loop.symbols, cells(loop, row), strict=True)) for row in rows]


def cells(loop: Loop | Each, row: Value) -> tuple[Value, ...]:
    """The values of one round."""
    return (row,) if len(loop.symbols) == 1 else row


@dataclass(frozen=True, eq=False)
class _Place:
    """A value in a list, and whether it is an operator's: only these are written by channels."""

    values: list[Value]
    key: int
    feeds_operator: bool


def _derive_parameters(program: Program, block: Block, watched: _Watched) -> None:
    rows = watched.instances.get(block, [])
    dropped = _derive(block.parameters, rows, block.body, watched)
    kept = [index for index in range(len(block.parameters)) if index not in dropped]
    for call in calls(program, block):
        call.arguments[:] = [call.arguments[index] for index in kept]
        for new, old in enumerate(kept):
            for known in (watched.arguments, watched.entries):
                known[id(call.arguments), new] = known.get((id(call.arguments), old), [])
    block.parameters[:] = [block.parameters[index] for index in kept]
    block.defaults[:] = [None] * len(kept)


def _derive_names(loop: Loop | Each, watched: _Watched) -> None:
    rows = [cells(loop, row) for row in loop.rows]
    dropped = _derive(loop.symbols, rows, loop.body, watched)
    kept = [index for index in range(len(loop.symbols)) if index not in dropped]
    loop.symbols[:] = [loop.symbols[index] for index in kept]
    if not kept:
        loop.rows = len(rows)
    elif dropped:
        left = [tuple(row[index] for index in kept) for row in rows]
        loop.rows = tuple(row[0] if len(kept) == 1 else row for row in left)


def _derive(
    symbols: Sequence[Symbol],
    rows: Sequence[tuple[Value, ...]],
    body: Sequence[Item],
    watched: _Watched,
) -> set[int]:
    """Write what follows from others in the places of symbols; the numbers of those dropped."""
    columns = list(zip(*rows, strict=True))
    widths = [
        index
        for index, symbol in enumerate(symbols)
        if symbol.hint in WIDTHS and all(type(value) is int for value in columns[index])
    ]
    dropped = {index for index, symbol in enumerate(symbols) if not _is_read(symbol, body)}
    places = {index: _places(symbols[index], body) for index in widths}
    direct = {index: _by_channels(found, watched) for index, found in places.items()}
    alone = None not in direct.values()
    bases: set[int] = set()
    for index in sorted(widths, key=lambda i: symbols[i].hint != "units"):
        found, own = direct[index], places[index]
        if index in dropped or index in bases or own is None:
            continue
        if not alone and (found is None or symbols[index].hint != "units"):
            others = [other for other in widths if other != index and other not in dropped]
            base, value = _of_others(index, others, symbols, columns)
            if base is not None:
                bases.add(base)
                found = [value] * len(own)
        if found is not None:
            dropped.add(index)
            for place, value in zip(own, found, strict=True):
                place.values[place.key] = value
    return dropped


def _of_others(
    index: int,
    others: Sequence[int],
    symbols: Sequence[Symbol],
    columns: Sequence[tuple[Value, ...]],
) -> tuple[int | None, Value]:
    """Another column of which one is a multiple, and how; units are also parts of filters."""
    for other in others:
        factor = _factor(columns[index], columns[other])
        if factor:
            return other, _times(factor, symbols[other])
        parts = _factor(columns[other], columns[index])
        if parts and (symbols[index].hint, symbols[other].hint) == ("units", "filters"):
            return other, Term("//", symbols[other], parts)
    return None, None


def _by_channels(places: Sequence[_Place] | None, watched: _Watched) -> list[Value] | None:
    """What to write in all places if it follows from the channels at hand."""
    if places is None or not all(place.feeds_operator for place in places):
        return None
    found = [_of_channels(watched.arguments.get((id(p.values), p.key), [])) for p in places]
    return None if None in found else found


def _factor(column: Sequence[int], base: Sequence[int]) -> int | None:
    """The factor by which one column is always the other, if it is a whole number."""
    factor, rest = divmod(column[0], base[0])
    if rest or any(value != factor * other for value, other in zip(column, base, strict=True)):
        return None
    return factor


def _of_channels(seen: Seen) -> Value | None:
    """What makes all values of the channels at hand, if one thing does."""
    if len({channels for _, channels in seen}) < 2:
        return None
    value, channels = seen[0]
    if any(v * channels != value * c for v, c in seen):
        return None
    if value % channels == 0:
        return _times(value // channels, CHANNELS)
    return Term("//", CHANNELS, channels // value) if channels % value == 0 else None


def _times(factor: int | None, value: Value) -> Value:
    return value if factor == 1 else Term("*", factor, value)


def _places(symbol: Symbol, body: Sequence[Item]) -> list[_Place] | None:
    """The values in lists that are a symbol, or None if something else reads it."""
    found: list[_Place] = []
    for item in everything(body):
        if isinstance(item, Loop | Each) and symbol in symbols_in(item.rows):
            return None
        values = item.arguments if isinstance(item, Call) else []
        values = item.values if isinstance(item, If) else values
        feeds_operator = isinstance(item, Call) and not isinstance(item.callee, Block)
        for key, value in enumerate(values):
            if value is symbol:
                found.append(_Place(values, key, feeds_operator))
            elif symbol in symbols_in(value):
                return None
    return found


def _is_read(symbol: Symbol, body: Sequence[Item]) -> bool:
    return _places(symbol, body) != []


def _set_widths(program: Program, block: Block, watched: _Watched) -> None:
    """Give widths that most calls have as a multiple of the channels at hand that default."""
    sites = calls(program, block)
    for index, symbol in enumerate(block.parameters):
        if symbol.hint not in WIDTHS:
            continue
        factors = {}
        for call in sites:
            seen = watched.entries.get((id(call.arguments), index), [])
            found = {value // channels if value % channels == 0 else 0 for value, channels in seen}
            factors[id(call)] = found.pop() if len(found) == 1 else 0
        factor, count = Counter(factors.values()).most_common(1)[0]
        if factor and count > 1 and 2 * count > len(sites):
            block.defaults[index] = _times(factor, CHANNELS)
            for call in sites:
                if factors[id(call)] == factor:
                    call.arguments[index] = None


def _set_defaults(program: Program, block: Block) -> None:
    """Give parameters their likeliest values as defaults, and put those without first."""
    arguments = [call.arguments for call in calls(program, block)]
    for index, column in enumerate(zip(*arguments, strict=True)):
        fixed = Counter(v for v in column if v is not None and not any(symbols_in(v)))
        value, count = next(iter(fixed.most_common(1)), (None, 0))
        if block.defaults[index] is not None:
            continue
        if 2 * count > len(column) or (count and value in USUAL):
            block.defaults[index] = value
    order = sorted(range(len(block.parameters)), key=lambda i: block.defaults[i] is not None)
    for values in (block.parameters, block.defaults, *arguments):
        values[:] = [values[index] for index in order]
