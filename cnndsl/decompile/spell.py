"""Programs to syntax trees."""

from __future__ import annotations

from collections.abc import Sequence

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
    Size,
    Symbol,
    Term,
    Value,
    defaults_of,
    has_lines,
    names_of,
    statements,
)
from cnndsl.diagnostics import Source, Span
from cnndsl.format.trees import format_tree
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.photo import Photo
from cnndsl.language import tree as ast
from cnndsl.language.functions import CONSTANTS

_NOWHERE = Span(Source("<decompiled>", ""), 0, 0)


def text_of(program: Program) -> str:
    """The canonical text of a program whose symbols and blocks have names."""
    return format_tree(_Speller(program).file())


class _Speller:
    """Makes the syntax tree of one program."""

    def __init__(self, program: Program):
        self.program = program

    def file(self) -> ast.File:
        """The whole file."""
        program = self.program
        inputs = [
            ast.InputDeclaration(
                _NOWHERE, _name(symbol.name), ast.ListOf(_NOWHERE, shape), self.photo(index)
            )
            for index, (symbol, sizes) in enumerate(program.inputs)
            for shape in [tuple(map(_value, sizes))]
        ]
        layers = [
            ast.LayerDeclaration(_NOWHERE, _name(symbol.name), self.call(call))
            for symbol, call in program.layers
        ]
        body = ast.Body(
            _NOWHERE, (*inputs, *layers, *self.body(program.body, lines=True).statements)
        )
        network = ast.Definition(_NOWHERE, "network", _name(program.name), (), body)
        blocks = [self.block(block) for block in program.blocks]
        return ast.File(_NOWHERE, _NOWHERE.source, (*self.defaults(), *blocks, network))

    def photo(self, index: int) -> ast.Call | None:
        """How a photo becomes an input, if that is known."""
        given = self.program.photos.get(index)
        if given is None:
            return None
        arguments = tuple(_keyword(name, value) for name, value in given.items())
        return ast.Call(_NOWHERE, _name(Photo.name), arguments)

    def defaults(self) -> list[ast.Item]:
        """The values that hold in the whole file."""
        found = [
            ast.Default(
                _NOWHERE,
                _name(operator.name),
                tuple(_keyword(name, value) for name, value in values.items()),
            )
            for operator, values in self.program.defaults.items()
            if values
        ]
        return [ast.Defaults(_NOWHERE, tuple(found))] if found else []

    def block(self, block: Block) -> ast.Definition:
        """The definition of a block."""
        parameters = tuple(
            ast.ParameterDeclaration(
                _NOWHERE, _name(symbol.name), None if default is None else _value(default)
            )
            for symbol, default in zip(block.parameters, block.defaults, strict=True)
        )
        return ast.Definition(
            _NOWHERE, "block", _name(block.name), parameters, self.body(block.body)
        )

    def body(self, chain: Sequence[Item], lines: bool = False) -> ast.Body:
        """A chain between braces or bars."""
        parts = statements(chain, lines)
        return ast.Body(_NOWHERE, tuple(self.statement(part, lines) for part in parts))

    def branch(self, chain: Sequence[Item]) -> ast.Body | ast.Each:
        """A branch of a join; one without steps is the identity."""
        if chain and isinstance(chain[0], Each):
            names = tuple(_name(symbol.name) for symbol in chain[0].symbols)
            rounds = ast.Rounds(_NOWHERE, names, _rows(chain[0].rows), None)
            return ast.Each(_NOWHERE, self.chain(chain[0].body), rounds)
        return self.body(chain) if chain else ast.Body(_NOWHERE, (self.chain(chain),))

    def statement(self, items: Sequence[Item], lines: bool) -> ast.Statement:
        """Items that stand in one statement."""
        match items[0]:
            case Let():
                names = (_name(items[0].symbol.name),)
                return ast.Let(_NOWHERE, names, self.chain(items[0].chain))
            case Output(weight=None):
                names = (_name(items[0].name),)
                return ast.OutputDeclaration(_NOWHERE, names, self.chain(items[0].chain))
            case Output():
                arguments = (_keyword("weight", items[0].weight),)
                return ast.AuxiliaryDeclaration(
                    _NOWHERE, _name(items[0].name), arguments, self.chain(items[0].chain)
                )
        return self.chain(items, lines)

    def chain(self, items: Sequence[Item], lines: bool = False) -> ast.Chain:
        """Items one after another; nothing at all is the identity."""
        elements = [self.element(item, lines) for item in items] or [_name("identity")]
        return ast.Chain(_NOWHERE, tuple(ast.Step(_NOWHERE, None, e) for e in elements))

    def element(self, item: Item, lines: bool) -> ast.Element:
        """One item of a chain."""
        match item:
            case Call():
                return self.call(item)
            case Layer() | Ref():
                return _name(item.symbol.name)
            case Join():
                branches = tuple(self.branch(branch) for branch in item.branches)
                return ast.Join(_NOWHERE, _name(item.operator.name), branches)
            case If():
                return ast.If(_NOWHERE, _condition(item), self.body(item.body), None)
            case Loop():
                body = self.body(item.body, has_lines(item, lines))
                if not item.symbols:
                    return ast.Repeat(_NOWHERE, _value(item.rows), body)
                names = tuple(_name(symbol.name) for symbol in item.symbols)
                return ast.For(_NOWHERE, names, _value(item.rows), body)
        raise TypeError(f"{item} is a statement")

    def call(self, call: Call) -> ast.Expression:
        """An operator or block with the arguments that differ from its defaults."""
        callee, defaults = call.callee, self.defaults_at(call)
        arguments = []
        by_position = True
        for name, value, default in zip(names_of(callee), call.arguments, defaults, strict=True):
            if value is None or (default is not None and value == default):
                by_position = False
            elif by_position and (default is None or isinstance(callee, Block)):
                arguments.append(ast.Argument(_NOWHERE, None, _value(value)))
            else:
                arguments.append(_keyword(name, value))
        written = _name(callee.name)
        return ast.Call(_NOWHERE, written, tuple(arguments)) if arguments else written

    def defaults_at(self, call: Call) -> list[Value]:
        """The defaults of the arguments of a call, of the file or of the callee."""
        callee = call.callee
        found = defaults_of(callee, call.arguments)
        if isinstance(callee, Block):
            return found
        own = self.program.defaults.get(callee, {})
        return [own.get(n, v) for n, v in zip(names_of(callee), found, strict=True)]


# Values


def _name(text: str) -> ast.Name:
    return ast.Name(_NOWHERE, text)


def _keyword(name: str, value: Value) -> ast.Argument:
    return ast.Argument(_NOWHERE, _name(name), _value(value))


def _rows(rows: Value) -> ast.Expression:
    """The values of rounds, which can be counted."""
    if type(rows) is not int:
        return _value(rows)
    argument = ast.Argument(_NOWHERE, None, _value(rows))
    return ast.Call(_NOWHERE, _name("range"), (argument,))


def _condition(item: If) -> ast.Expression:
    """Tests joined by `or`."""
    first, *others = (
        ast.Binary(_NOWHERE, "!=", _name("channels"), _value(value))
        if test == "channels"
        else ast.Binary(_NOWHERE, "!=", _value(value), _value(1))
        for test, value in zip(item.tests, item.values, strict=True)
    )
    for other in others:
        first = ast.Binary(_NOWHERE, "or", first, other)
    return first


def _value(value: Value) -> ast.Expression:
    match value:
        case Symbol() | Size():
            return _name(value.name)
        case OpenDim():
            return _name(str(value))
        case str():
            return (
                _name(value) if value in CONSTANTS else ast.Literal(_NOWHERE, value, f'"{value}"')
            )
        case bool():
            return ast.Literal(_NOWHERE, value, str(value).lower())
        case int() | float() if value < 0:
            return ast.Unary(_NOWHERE, "-", _value(-value))
        case int() | float():
            return ast.Literal(_NOWHERE, value, _number(value))
        case tuple():
            return ast.ListOf(_NOWHERE, tuple(map(_value, value)))
        case Term():
            left, right = (
                ast.Parenthesised(_NOWHERE, _value(side))
                if isinstance(side, Term) and not (value.operator == "+" and side.operator == "*")
                else _value(side)
                for side in (value.left, value.right)
            )
            return ast.Binary(_NOWHERE, value.operator, left, right)
    raise TypeError(f"{value!r} cannot be written")


def _number(value: float) -> str:
    """A number as the language reads it: without the zeros of 1e-05."""
    digits, mark, exponent = repr(value).partition("e")
    return digits + (f"e{int(exponent)}" if mark else "")
