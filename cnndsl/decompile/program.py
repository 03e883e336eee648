"""Programs: networks as calls, joins and loops, between the flat graph and the syntax tree.

A chain is a list of items, each of which takes the value that the one before it left. Arguments are
values: literals as the language writes them, symbols (parameters and names of loops), and terms.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from cnndsl.decompile.calls import default_of
from cnndsl.ir.operator import Operator


@dataclass(eq=False)
class Symbol:
    """A name in a program: of what it feeds, the title that it would like, the one that it has."""

    hint: str
    title: str = ""
    name: str = ""


@dataclass(frozen=True)
class Term:
    """left operator right, of literals, symbols and names of sizes such as `channels`."""

    operator: str
    left: Any
    right: Any


COMPUTED = {"+": operator.add, "*": operator.mul, "//": operator.floordiv}
"""What the operators of terms make of whole numbers."""


@dataclass(frozen=True)
class Size:
    """A size of the value at hand."""

    name: str


CHANNELS = Size("channels")

WIDTHS = ("filters", "units", "channels")
"""Attributes that are numbers of channels: one can be a multiple of another."""

SHORT = 2
"""Calls that a loop on one line can have."""

Value: TypeAlias = Any
"""None (left out), a literal (number, truth, mode, nested tuples), a Symbol, Size or Term."""


@dataclass(eq=False)
class Block:
    """A block; `defaults` are those of its last parameters, None for one without."""

    parameters: list[Symbol]
    body: list[Item]
    defaults: list[Value] = field(default_factory=list)
    name: str = ""


@dataclass(eq=False)
class Call:
    """An operator or block with a value for each of its attributes or parameters.

    `channels` are those of the value at hand.
    """

    callee: type[Operator] | Block
    arguments: list[Value]
    channels: int = 0
    scope: str = ""


@dataclass(eq=False)
class Layer:
    """A use of a shared layer."""

    symbol: Symbol


@dataclass(eq=False)
class Ref:
    """A kept value."""

    symbol: Symbol


@dataclass(eq=False)
class Join:
    """Branches from the value at hand, and the operator that joins them."""

    operator: type[Operator]
    branches: list[list[Item]]
    channels: int


@dataclass(eq=False)
class If:
    """A body that is applied if one of the tests holds.

    A test of `channels` holds if those at hand are not the value, one of a stride if that is not 1.
    """

    tests: tuple[str, ...]
    values: list[Value]
    body: list[Item]


@dataclass(eq=False)
class Loop:
    """A body for each row of values, or for each value of a single symbol.

    Without symbols, `rows` is the count.
    """

    symbols: list[Symbol]
    rows: Value
    body: list[Item]


@dataclass(eq=False)
class Each:
    """A branch of a join, as its only item, that stands for one in each round of a loop.

    `rows` are as those of a loop with symbols, or the count of rounds that are numbered from 0.
    """

    symbols: list[Symbol]
    rows: Value
    body: list[Item]


@dataclass(eq=False)
class Let:
    """Keeps what a chain makes of the value at hand, which stays."""

    symbol: Symbol
    chain: list[Item]


@dataclass(eq=False)
class Output:
    """An output, with a loss weight if it is for training only."""

    name: str
    chain: list[Item]
    weight: float | None = None


Item: TypeAlias = Call | Layer | Ref | Join | If | Loop | Each | Let | Output


@dataclass(eq=False)
class Program:
    """A network: inputs with their shapes, shared layers, blocks in the order of their definition.

    `photos` are arguments of `photo` by the place of the input among the inputs.
    `defaults` are values by operator and attribute that hold in the place of the operator's own.
    """

    name: str
    inputs: list[tuple[Symbol, tuple[Any, ...]]]
    layers: list[tuple[Symbol, Call]]
    body: list[Item]
    blocks: list[Block] = field(default_factory=list)
    defaults: dict[type[Operator], dict[str, Value]] = field(default_factory=dict)
    photos: dict[int, dict[str, Value]] = field(default_factory=dict)

    def chains(self) -> Iterator[list[Item]]:
        """Every chain, inner ones after those around them."""
        pending = [self.body, *(block.body for block in self.blocks)]
        while pending:
            chain = pending.pop()
            yield chain
            pending += [inner for item in chain for inner in inside(item)]

    def sort_blocks(self) -> None:
        """Put blocks above those that call them."""
        found: dict[Block, None] = {}

        def visit(chain: Sequence[Item]) -> None:
            for item in everything(chain):
                callee = item.callee if isinstance(item, Call) else None
                if isinstance(callee, Block) and callee not in found:
                    visit(callee.body)
                    found[callee] = None

        visit(self.body)
        self.blocks = list(found)


def everything(chain: Sequence[Item]) -> Iterator[Item]:
    """All items of a chain, those inside others too."""
    for item in chain:
        yield item
        for inner in inside(item):
            yield from everything(inner)


def calls(program: Program, block: Block) -> list[Call]:
    """All calls of a block."""
    return [
        item
        for chain in program.chains()
        for item in chain
        if isinstance(item, Call) and item.callee is block
    ]


def symbols_in(value: Value) -> list[Symbol]:
    """The symbols in a value."""
    match value:
        case Symbol():
            return [value]
        case tuple():
            return [symbol for item in value for symbol in symbols_in(item)]
        case Term():
            return [*symbols_in(value.left), *symbols_in(value.right)]
    return []


def inside(item: Item) -> Sequence[list[Item]]:
    """The chains directly inside an item."""
    match item:
        case Join():
            return item.branches
        case Loop() | Each() | If():
            return (item.body,)
        case Let() | Output():
            return (item.chain,)
    return ()


def statements(chain: Sequence[Item], lines: bool = False) -> list[list[Item]]:
    """A chain cut into statements: sizes that are read are those where the statement starts.

    Loops and kept values are statements of their own. With `lines`, so are blocks with branches or
    loops, each with what is behind it: this is how networks and bodies of their loops are written.
    """
    found: list[list[Item]] = []
    joined = False
    for item in chain:
        single = isinstance(item, Loop | Let | Output)
        starts = single or isinstance(item, Ref) or (lines and _is_stage(item))
        if joined and not starts:
            found[-1].append(item)
        else:
            found.append([item])
        joined = not single
    return found


def _is_stage(item: Item) -> bool:
    block = item.callee if isinstance(item, Call) and isinstance(item.callee, Block) else None
    return block is not None and any(isinstance(i, Join | Loop) for i in everything(block.body))


def has_lines(loop: Loop, lines: bool) -> bool:
    """Whether the body of a loop is written in `lines`, as what is around it: not a short one."""
    return lines and (len(loop.body) > SHORT or not all(isinstance(i, Call) for i in loop.body))


def names_of(callee: type[Operator] | Block) -> list[str]:
    """The names of the arguments of a callee."""
    if isinstance(callee, Block):
        return [symbol.name or symbol.hint for symbol in callee.parameters]
    return [attribute.name for attribute in fields(callee)]


def defaults_of(callee: type[Operator] | Block, arguments: Sequence[Value]) -> list[Value]:
    """What each argument is if it is left out, None if it cannot be.

    A stride that is not given is the kernel.
    """
    if isinstance(callee, Block):
        return callee.defaults
    return [
        arguments[0] if f.name == "stride" and f.default is None else default_of(f)
        for f in fields(callee)
    ]


def copied(chain: Sequence[Item], values: Mapping[Symbol, Value]) -> list[Item]:
    """A chain with values in the places of symbols; what it names itself has new symbols."""
    fresh = dict(values)
    return [_copy(item, fresh) for item in chain]


def _copy(item: Item, values: dict[Symbol, Value]) -> Item:
    match item:
        case Call():
            arguments = [replaced(value, values) for value in item.arguments]
            return replace(item, arguments=arguments)
        case Ref():
            return Ref(values.get(item.symbol, item.symbol))
        case Join():
            return replace(item, branches=[copied(branch, values) for branch in item.branches])
        case If():
            tested = [replaced(value, values) for value in item.values]
            return If(item.tests, tested, copied(item.body, values))
        case Loop() | Each():
            fresh = {symbol: Symbol(symbol.hint) for symbol in item.symbols}
            body = copied(item.body, {**values, **fresh})
            return type(item)([*fresh.values()], replaced(item.rows, values), body)
        case Let():
            chain = copied(item.chain, values)
            values[item.symbol] = Symbol(item.symbol.hint, item.symbol.title)
            return Let(values[item.symbol], chain)
        case Output():
            return replace(item, chain=copied(item.chain, values))
    return item


def replaced(value: Value, values: Mapping[Symbol, Value]) -> Value:
    """A value with values in the places of symbols."""
    match value:
        case Symbol():
            return values.get(value, value)
        case tuple():
            return tuple(replaced(item, values) for item in value)
        case Term():
            left, right = (replaced(side, values) for side in (value.left, value.right))
            known = type(left) is type(right) is int
            return (
                COMPUTED[value.operator](left, right)
                if known
                else Term(value.operator, left, right)
            )
    return value
