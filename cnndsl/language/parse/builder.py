"""Lark's parse tree to the typed syntax tree."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.language import limits
from cnndsl.language import tree as ast

_LABEL_PART = re.compile(r"\{([^{}]*)\}|[^{}]+")


@v_args(meta=True)
class TreeBuilder(Transformer_NonRecursive[Token, Any]):
    """One method for each rule of the grammar; children come built.

    `parse_expression(source, start, end)` is called for the expressions inside labels.
    """

    def __init__(self, source: Source, parse_expression: Callable[[Source, int, int], Any]):
        super().__init__()
        self.source = source
        self.parse_expression = parse_expression

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def start(self, meta: Meta, items: list[Any]) -> list[Any]:
        return list(items)

    def lone(self, meta: Meta, children: list[Any]) -> Any:
        return children[0]

    # Items

    def import_(self, meta: Meta, children: list[Any]) -> ast.Import:
        *names, path = children
        return ast.Import(self._span(meta), tuple(names), self.string(meta, [path]))

    def block(self, meta: Meta, children: list[Any]) -> ast.Definition:
        return self._definition("block", meta, children)

    def network(self, meta: Meta, children: list[Any]) -> ast.Definition:
        return self._definition("network", meta, children)

    def _definition(self, keyword: str, meta: Meta, children: list[Any]) -> ast.Definition:
        name, *parameters, body = children
        listed = parameters[0] if parameters and parameters[0] else ()
        return ast.Definition(self._span(meta), keyword, name, listed, body)

    def alias(self, meta: Meta, children: list[Any]) -> ast.Alias:
        return ast.Alias(self._span(meta), *children)

    def recipe(self, meta: Meta, children: list[Any]) -> ast.RecipeDefinition:
        names, ingredients = children[0], children[1]
        return ast.RecipeDefinition(self._span(meta), names, ingredients)

    def ingredients(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def parameters(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def parameter(self, meta: Meta, children: list[Any]) -> ast.ParameterDeclaration:
        default = children[1] if len(children) > 1 else None
        return ast.ParameterDeclaration(self._span(meta), children[0], default)

    # Statements

    def statements(self, meta: Meta, children: list[Any]) -> ast.Body:
        return ast.Body(self._span(meta), tuple(children))

    def body(self, meta: Meta, children: list[Any]) -> ast.Body:
        return ast.Body(self._span(meta), children[0].statements)

    def branch(self, meta: Meta, children: list[Any]) -> ast.Body:
        return children[0]  # type: ignore[no-any-return]

    def input(self, meta: Meta, children: list[Any]) -> ast.InputDeclaration:
        return ast.InputDeclaration(self._span(meta), *children)

    def let(self, meta: Meta, children: list[Any]) -> ast.Let:
        return ast.Let(self._span(meta), *children)

    def assign(self, meta: Meta, children: list[Any]) -> ast.Assign:
        return ast.Assign(self._span(meta), *children)

    def names(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def layer(self, meta: Meta, children: list[Any]) -> ast.LayerDeclaration:
        return ast.LayerDeclaration(self._span(meta), *children)

    def output(self, meta: Meta, children: list[Any]) -> ast.OutputDeclaration:
        names, chain = children
        listed = (names,) if isinstance(names, ast.Label) else names
        return ast.OutputDeclaration(self._span(meta), listed, chain)

    def template(self, meta: Meta, children: list[Token]) -> ast.Label:
        return self._template(children[0], str(children[0]))

    def return_(self, meta: Meta, children: list[Any]) -> ast.Return:
        return ast.Return(self._span(meta), tuple(children))

    def auxiliary(self, meta: Meta, children: list[Any]) -> ast.AuxiliaryDeclaration:
        return ast.AuxiliaryDeclaration(self._span(meta), *children)

    def defaults(self, meta: Meta, children: list[Any]) -> ast.Defaults:
        return ast.Defaults(self._span(meta), tuple(children))

    def default(self, meta: Meta, children: list[Any]) -> ast.Default:
        return ast.Default(self._span(meta), *children)

    def chain(self, meta: Meta, children: list[Any]) -> ast.Chain:
        return ast.Chain(self._span(meta), tuple(children))

    # Elements

    def step(self, meta: Meta, children: list[Any]) -> ast.Step:
        label = children[0] if len(children) > 1 else None
        return ast.Step(self._span(meta), label, children[-1])

    def label(self, meta: Meta, children: list[Token]) -> ast.Label:
        return self._template(children[0], children[0].rstrip(": \t"))

    def _template(self, token: Token, text: str) -> ast.Label:
        """A name with expressions in braces."""
        start = token.start_pos or 0
        parts: list[Any] = []
        for match in _LABEL_PART.finditer(text):
            inner = match.group(1)
            if inner is None:
                parts.append(match.group())
            else:
                begin = start + match.start(1)
                parts.append(self.parse_expression(self.source, begin, begin + len(inner)))
        return ast.Label(Span(self.source, start, start + len(text)), tuple(parts))

    def join(self, meta: Meta, children: list[Any]) -> ast.Join:
        return ast.Join(self._span(meta), children[0], tuple(children[1:]))

    def if_(self, meta: Meta, children: list[Any]) -> ast.If:
        condition, then, *rest = children
        otherwise = rest[0] if rest else None
        if isinstance(otherwise, ast.If):
            step = ast.Step(otherwise.span, None, otherwise)
            chain = ast.Chain(otherwise.span, (step,))
            otherwise = ast.Body(otherwise.span, (chain,))
        return ast.If(self._span(meta), condition, then, otherwise)

    def for_(self, meta: Meta, children: list[Any]) -> ast.For:
        *names, values, body = children
        return ast.For(self._span(meta), tuple(names), values, body)

    def repeat(self, meta: Meta, children: list[Any]) -> ast.Repeat:
        return ast.Repeat(self._span(meta), *children)

    def group(self, meta: Meta, children: list[Any]) -> ast.Group:
        return ast.Group(self._span(meta), *children)

    # Expressions

    def name(self, meta: Meta, children: list[Token]) -> ast.Name:
        return ast.Name(self._span(meta), str(children[0]))

    def number(self, meta: Meta, children: list[Token]) -> ast.Literal:
        text = str(children[0])
        whole = text.isdigit()
        long = len(text) > limits.DIGITS
        if (whole and (long or int(text) > limits.MAGNITUDE)) or math.isinf(float(text)):
            message = f"the number {text[:20]}{'…' if len(text) > 20 else ''} is too large"
            most = f"{limits.MAGNITUDE:,}" if whole else f"{sys.float_info.max:.2g}"
            raise CnnError([Diagnostic("E0502", f"{message}: {most} at most", self._span(meta))])
        if long:
            message = f"the number {text[:20]}… has more than {limits.DIGITS} characters"
            raise CnnError([Diagnostic("E0502", message, self._span(meta))])
        return ast.Literal(self._span(meta), int(text) if whole else float(text), text)

    def string(self, meta: Meta, children: list[Token]) -> ast.Literal:
        text = str(children[0])
        start = children[0].start_pos or 0
        return ast.Literal(Span(self.source, start, start + len(text)), text[1:-1], text)

    def true(self, meta: Meta, children: list[Token]) -> ast.Literal:
        return ast.Literal(self._span(meta), True, "true")

    def false(self, meta: Meta, children: list[Token]) -> ast.Literal:
        return ast.Literal(self._span(meta), False, "false")

    def list_(self, meta: Meta, children: list[Any]) -> ast.ListOf:
        return ast.ListOf(self._span(meta), tuple(map(_listed, children)))

    def each(self, meta: Meta, children: list[Any]) -> ast.Each:
        return ast.Each(self._span(meta), *children)

    def rounds(self, meta: Meta, children: list[Any]) -> ast.Rounds:
        *names, values, condition = children
        return ast.Rounds(self._span(meta), tuple(names), values, condition)

    def parenthesised(self, meta: Meta, children: list[Any]) -> ast.Parenthesised:
        return ast.Parenthesised(self._span(meta), children[0])

    def unary(self, meta: Meta, children: list[Any]) -> ast.Unary:
        return ast.Unary(self._span(meta), str(children[0]), children[1])

    def binary(self, meta: Meta, children: list[Any]) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(self._span(meta), str(operator), left, right)

    def conditional(self, meta: Meta, children: list[Any]) -> ast.Conditional:
        return ast.Conditional(self._span(meta), *children)

    def index(self, meta: Meta, children: list[Any]) -> ast.Index:
        return ast.Index(self._span(meta), *children)

    def call(self, meta: Meta, children: list[Any]) -> ast.Call:
        return ast.Call(self._span(meta), *children)

    def arguments(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def argument(self, meta: Meta, children: list[Any]) -> ast.Argument:
        return ast.Argument(self._span(meta), None, children[0])

    def keyword(self, meta: Meta, children: list[Any]) -> ast.Argument:
        return ast.Argument(self._span(meta), *children)


def _listed(item: Any) -> Any:
    """An item of a list: a chain that is one expression is that expression."""
    match item:
        case ast.Each():
            return ast.Each(item.span, _listed(item.what), item.rounds)
        case ast.Chain(steps=(ast.Step(label=None, element=element),)):
            return element if isinstance(element, ast.Expression) else item
    return item
