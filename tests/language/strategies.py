"""Random syntax trees, and their texts in random layouts, as hypothesis strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from cnndsl.diagnostics import Source, Span
from cnndsl.language import tree as ast
from tests.language.scribble import Writer

NOWHERE = Span(Source("<random>", ""), 0, 0)
NAMES = ("x", "conv", "growth", "i", "channels", "a_rather_long_name_of_a_block", "stride2", "_B")
NUMBERS = ("0", "7", "0.5", ".25", "1e-3", "2.5E+10", "1000")
STRINGS = ('""', '"same_upper"', '"# no comment"', '"a -> b | { c }"')
ROWS = (("or",), ("and",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "//", "%"))
COMPARISON = 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Grower:
    """Grows trees; `size` bounds the depth and the length of lists."""

    random: Random
    size: int

    def smaller(self) -> Grower:
        return Grower(self.random, self.size - 1)

    def several(self, make: Callable[[], Item], least: int = 0) -> tuple[Item, ...]:
        return tuple(make() for _ in range(self.random.randint(least, max(least, self.size))))

    def chance(self) -> bool:
        return self.size > 0 and self.random.random() < 0.35

    # Expressions, one method for each level of the grammar

    def name(self) -> ast.Name:
        return ast.Name(NOWHERE, self.random.choice(NAMES))

    def number(self) -> ast.Literal:
        text = self.random.choice(NUMBERS)
        return ast.Literal(NOWHERE, int(text) if text.isdigit() else float(text), text)

    def string(self) -> ast.Literal:
        text = self.random.choice(STRINGS)
        return ast.Literal(NOWHERE, text[1:-1], text)

    def boolean(self) -> ast.Literal:
        value = self.random.random() < 0.5
        return ast.Literal(NOWHERE, value, "true" if value else "false")

    def listed(self) -> ast.ListOf:
        low = self.smaller()
        if self.chance():
            return ast.ListOf(NOWHERE, (low.each(low.member()),))
        return ast.ListOf(NOWHERE, self.several(low.member))

    def member(self) -> ast.Expression | ast.Chain:
        chain = self.chain() if self.chance() else None
        if chain is None or (len(chain.steps) == 1 and not chain.steps[0].label):
            return self.expression()
        return chain

    def each(self, what: ast.Expression | ast.Chain) -> ast.Each:
        names = self.several(self.name, least=1)
        condition = self.operation(0) if self.random.random() < 0.5 else None
        return ast.Each(NOWHERE, what, ast.Rounds(NOWHERE, names, self.operation(0), condition))

    def expression(self) -> ast.Expression:
        if self.chance():
            low = self.smaller()
            then, condition = low.operation(0), low.operation(0)
            return ast.Conditional(NOWHERE, then, condition, low.expression())
        return self.operation(0)

    def operation(self, row: int) -> ast.Expression:
        if row == len(ROWS):
            return self.signed()
        if row == COMPARISON and self.chance():
            return ast.Unary(NOWHERE, "not", self.smaller().operation(COMPARISON))
        if not self.chance():
            return self.operation(row + 1)
        left = self.smaller().operation(row + 1 if row == COMPARISON else row)
        right = self.smaller().operation(row + 1)
        return ast.Binary(NOWHERE, self.random.choice(ROWS[row]), left, right)

    def signed(self) -> ast.Expression:
        if self.chance():
            return ast.Unary(NOWHERE, "-", self.smaller().signed())
        if self.chance():
            return ast.Binary(NOWHERE, "**", self.smaller().postfix(), self.smaller().signed())
        return self.postfix()

    def postfix(self) -> ast.Expression:
        low = self.smaller()
        if self.chance():
            return ast.Call(NOWHERE, low.postfix(), low.arguments())
        if self.chance():
            return ast.Index(NOWHERE, low.postfix(), low.expression())
        if self.chance():
            return ast.Parenthesised(NOWHERE, low.expression())
        if self.chance():
            return self.listed()
        return self.random.choice([self.name, self.number, self.string, self.boolean])()

    def arguments(self) -> tuple[ast.Argument, ...]:
        return self.several(self.argument)

    def argument(self) -> ast.Argument:
        name = self.name() if self.random.random() < 0.4 else None
        return ast.Argument(NOWHERE, name, self.expression())

    # Elements and statements

    def chain(self) -> ast.Chain:
        return ast.Chain(NOWHERE, self.several(self.step, least=1))

    def step(self) -> ast.Step:
        return ast.Step(NOWHERE, self.label() if self.chance() else None, self.element())

    def label(self) -> ast.Label:
        parts: list[str | ast.Expression] = [self.random.choice(NAMES)]
        return ast.Label(NOWHERE, (*parts, *self.braced(self.chance())))

    def braced(self, more: bool) -> tuple[str | ast.Expression, ...]:
        parts: list[str | ast.Expression] = []
        while more:
            more = self.chance()
            operator = self.random.choice(ROWS[-1] + ROWS[-2])
            part = ast.Binary(NOWHERE, operator, self.name(), self.number())
            parts += [part, *self.random.sample(["_x", "2"], self.random.randrange(2))]
        return tuple(parts)

    def element(self) -> ast.Element:
        low = self.smaller()
        if self.chance():
            return ast.Join(NOWHERE, self.name(), self.several(low.branch, least=1))
        if self.chance():
            return low.branching()
        if self.chance():
            names = self.several(self.name, least=1)
            return ast.For(NOWHERE, names, low.expression(), low.body())
        if self.chance():
            return ast.Repeat(NOWHERE, low.expression(), low.body())
        if self.chance():
            return ast.Group(NOWHERE, low.body())
        return low.expression()

    def branch(self) -> ast.Body | ast.Each:
        return self.each(self.chain()) if self.chance() else self.body()

    def branching(self) -> ast.If:
        otherwise = self.body() if self.random.random() < 0.5 else None
        if self.chance():
            step = ast.Step(NOWHERE, None, self.smaller().branching())
            otherwise = ast.Body(NOWHERE, (ast.Chain(NOWHERE, (step,)),))
        return ast.If(NOWHERE, self.expression(), self.body(), otherwise)

    def body(self) -> ast.Body:
        return ast.Body(NOWHERE, self.several(self.statement))

    def statement(self) -> ast.Statement:
        name = self.name()
        others: list[Callable[[], ast.Statement]] = [
            lambda: ast.InputDeclaration(NOWHERE, name, self.listed(), self.photo()),
            lambda: ast.Let(NOWHERE, self.several(self.name, least=1), self.chain()),
            lambda: ast.Assign(NOWHERE, self.several(self.name, least=1), self.chain()),
            lambda: ast.LayerDeclaration(NOWHERE, name, self.expression()),
            lambda: ast.OutputDeclaration(NOWHERE, self.output_names(), self.chain()),
            lambda: ast.Return(NOWHERE, self.several(self.chain, least=1)),
            lambda: ast.AuxiliaryDeclaration(NOWHERE, name, self.arguments(), self.chain()),
            self.defaults,
        ]
        return self.random.choice(others)() if self.chance() else self.chain()

    def photo(self) -> ast.Call | None:
        call = ast.Call(NOWHERE, self.name(), self.arguments())
        return call if self.chance() else None

    def output_names(self) -> tuple[ast.Name | ast.Label, ...]:
        if self.chance():
            return (ast.Label(NOWHERE, self.braced(True)),)
        return self.several(self.name, least=1)

    def defaults(self) -> ast.Defaults:
        def default() -> ast.Default:
            return ast.Default(NOWHERE, self.name(), self.arguments())

        return ast.Defaults(NOWHERE, self.several(default, least=1))

    # Files

    def file(self) -> ast.File:
        return ast.File(NOWHERE, NOWHERE.source, self.several(self.item))

    def item(self) -> ast.Item:
        name = self.name()
        others: list[Callable[[], ast.Item]] = [
            lambda: ast.Import(NOWHERE, self.several(self.name, least=1), self.string()),
            lambda: ast.Alias(NOWHERE, name, self.expression()),
            self.defaults,
            self.recipe,
        ]
        if self.random.random() < 0.3:
            return self.random.choice(others)()
        keyword = self.random.choice(["block", "network"])
        return ast.Definition(NOWHERE, keyword, name, self.several(self.parameter), self.body())

    def recipe(self) -> ast.RecipeDefinition:
        def ingredient() -> ast.Name | ast.Call:
            name = self.name()
            return ast.Call(NOWHERE, name, self.arguments()) if self.chance() else name

        names = self.several(self.name, least=1)
        return ast.RecipeDefinition(NOWHERE, names, self.several(ingredient))

    def parameter(self) -> ast.ParameterDeclaration:
        default = self.expression() if self.random.random() < 0.5 else None
        return ast.ParameterDeclaration(NOWHERE, self.name(), default)


def files() -> st.SearchStrategy[ast.File]:
    """Syntax trees of whole files."""
    return st.builds(lambda size, seed: Grower(Random(seed), size).file(), _SIZES, _SEEDS)


def texts() -> st.SearchStrategy[tuple[ast.File, str, list[str]]]:
    """Syntax trees, each with a text in a random layout and the comments of the text."""

    def write(tree: ast.File, seed: int, commented: bool) -> tuple[ast.File, str, list[str]]:
        writer = Writer(Random(seed), commented)
        return tree, writer.text(tree), writer.comments

    return st.builds(write, files(), _SEEDS, st.booleans())


_SIZES = st.integers(0, 4)
_SEEDS = st.integers(0, 2**32)
