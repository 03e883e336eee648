"""What each name in a file refers to, and where that is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.language import tree as ast
from cnndsl.language.functions import Function, Size
from cnndsl.language.scopes import Local
from cnndsl.language.sources import resolved
from cnndsl.language.units import BlockValue, NetworkItem, Unit, definition_of


@dataclass(frozen=True)
class Symbol:
    """What a name stands for: a kind such as operator, block, network, parameter or value.

    `place` is the name where it is declared; what the language has is declared nowhere. `owner` is
    the operator, definition or function that it is, or that a parameter belongs to.
    """

    kind: str
    text: str
    place: Span | None
    owner: Any = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> tuple[str, str, int]:
        """Equal for all names of one thing, in whatever file they stand."""
        if self.place is None:
            return self.kind, self.text, 0
        return "", str(resolved(self.place.source.name)), self.place.start


@dataclass(frozen=True)
class Occurrence:
    """A name in a text, what it refers to, and whether it is declared here."""

    span: Span
    symbol: Symbol

    @property
    def declares(self) -> bool:
        """Whether this is the declaration."""
        return self.symbol.place == self.span


def occurrences(unit: Unit) -> list[Occurrence]:
    """All names of a file that mean something, in the order of the text."""
    found: dict[int, Occurrence] = {}
    for item in unit.tree.items:
        for node in _nodes(item):
            for name, symbol in _referring(unit, node):
                found.setdefault(id(name), Occurrence(name.span, symbol))
    return sorted(found.values(), key=lambda occurrence: occurrence.span.start)


def occurrence_at(found: Iterable[Occurrence], offset: int) -> Occurrence | None:
    """The name that an offset is in, or at the end of."""
    touching = [o for o in found if o.span.start <= offset <= o.span.end]
    return max(touching, key=lambda o: o.span.start, default=None)


def _nodes(root: ast.Tree) -> Iterator[ast.Tree]:
    """All nodes of a tree, those that hold others first."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += ast.children(node)


def _referring(unit: Unit, node: ast.Tree) -> Iterator[tuple[ast.Name, Symbol]]:
    """Names directly inside a node, or the node itself, with what they refer to."""
    match node:
        case ast.Import():
            yield from _known(unit, node.names)
        case ast.Definition():
            yield node.name, _defined(unit, node)
        case ast.Alias():
            yield node.name, _defined(unit, node)
            yield from _network_call(unit, node)
        case ast.RecipeDefinition():
            yield from _known(unit, node.networks)
        case ast.Call():
            yield from _keywords(_meaning(unit, node.callee), node.arguments)
        case ast.Default():
            yield from _keywords(unit.meanings.get(id(node.name)), node.arguments)
        case ast.Name():
            meaning = unit.meanings.get(id(node))
            if meaning is not None:
                yield node, symbol_of(meaning)


def _meaning(unit: Unit, node: ast.Tree) -> Any:
    return unit.meanings.get(id(node))


def symbol_of(meaning: Any) -> Symbol:
    """What the meaning of a name is."""
    match meaning:
        case Local():
            kind = "variable" if meaning.what == "name" else meaning.what
            return Symbol(kind, meaning.name.text, meaning.name.span)
        case BlockValue():
            return Symbol("block", meaning.name, meaning.definition.name.span, meaning.definition)
        case Function():
            return Symbol("function", meaning.name, None, meaning)
        case Size():
            return Symbol("size", meaning.name, None)
        case str():
            return Symbol("constant", meaning, None)
    return Symbol("operator", meaning.name, None, meaning)


def _defined(unit: Unit, item: NetworkItem) -> Symbol:
    if isinstance(item, ast.Definition) and item.keyword == "block":
        return Symbol("block", item.name.text, item.name.span, item)
    return Symbol("network", item.name.text, item.name.span, definition_of(unit, item))


def _known(unit: Unit, names: Sequence[ast.Name]) -> Iterator[tuple[ast.Name, Symbol]]:
    """Names that are imported."""
    for name in names:
        if block := unit.blocks.get(name.text):
            yield name, symbol_of(block)
        elif network := unit.networks.get(name.text):
            yield name, _defined(*network)


def _network_call(unit: Unit, alias: ast.Alias) -> Iterator[tuple[ast.Name, Symbol]]:
    call = alias.call
    callee = call.callee if isinstance(call, ast.Call) else call
    if not isinstance(callee, ast.Name) or callee.text not in unit.networks:
        return
    symbol = _defined(*unit.networks[callee.text])
    yield callee, symbol
    if isinstance(call, ast.Call) and symbol.owner is not None:
        yield from _parameters(symbol.owner, call.arguments)


def _keywords(target: Any, arguments: Sequence[ast.Argument]) -> Iterator[tuple[ast.Name, Symbol]]:
    """The names of arguments: parameters of a block, or attributes of an operator."""
    if isinstance(target, BlockValue):
        yield from _parameters(target.definition, arguments)
    elif isinstance(target, type):
        for argument in arguments:
            if argument.name is not None:
                yield argument.name, Symbol("attribute", argument.name.text, None, target)


def _parameters(
    definition: ast.Definition, arguments: Sequence[ast.Argument]
) -> Iterator[tuple[ast.Name, Symbol]]:
    known = {parameter.name.text: parameter.name for parameter in definition.parameters}
    for argument in arguments:
        if argument.name is not None and argument.name.text in known:
            place = known[argument.name.text].span
            yield argument.name, Symbol("parameter", argument.name.text, place, definition)
