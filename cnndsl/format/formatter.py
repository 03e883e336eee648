"""The canonical form of a `.cnn` text, as `cnndsl fmt` writes it.

The author decides where lines break, the formatter how that looks. What was written on one line
stays on one line if it fits in WIDTH columns, what was written on several lines stays so:

- Bodies, `if` and joins are laid out whole: on one line, or all their parts on lines of their own.
  The bars of a join stand below its brace; an `else` stays on a line of its own.
- Chains and lists are filled: a line break is kept (before the arrow, or after the comma), and
  further ones come where a line would be too long.
- One blank line is kept between statements, none beside braces and bars.

Operators have spaces, except powers (`2**i`), a number times a name (`4*growth`), and arithmetic in
an index or a label (`conv{i+1}`).

Comments stay above, beside or below what they stood at; one inside an expression moves above the
argument, item or statement that the expression is part of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.format.comments import Comments, comment_text
from cnndsl.format.layout import HARD, Align, Aside, Doc, Group, Hang, Indent, Line, render
from cnndsl.language import tree as ast
from cnndsl.language.parse.parser import parse_file

WIDTH = 100
"""Columns of a line."""

_ARITHMETIC = {"+", "-", "*", "/", "//", "%"}
_SPACE_AND_COMMENTS = re.compile(r"(?:\s|#[^\n]*)*")


def format_source(text: str, name: str = "<text>") -> str:
    """The canonical form of a text; its syntax tree and its comments stay the same.

    Formatting a formatted text changes nothing. Raises CnnError with all syntax errors.
    """
    source = Source(name, text.replace("\r\n", "\n"))
    tree = parse_file(source)
    try:
        formatted = _Printer(tree).text()
        again = parse_file(Source(name, formatted))
        assert again == tree, "formatting changed the syntax tree"
        assert _comments(again) == _comments(tree), "formatting changed the comments"
        assert _Printer(again).text() == formatted, "formatting twice differs from once"
    except RecursionError:
        start = Span(source, 0, 0)
        raise CnnError([Diagnostic("E0501", "an expression is nested too deeply", start)]) from None
    return formatted


def _comments(tree: ast.File) -> list[str]:
    return sorted(comment_text(comment) for comment in tree.comments)


def _names(names: Sequence[ast.Name]) -> str:
    return ", ".join(name.text for name in names)


class _Printer:
    """Turns the nodes of one file into documents."""

    def __init__(self, tree: ast.File):
        self._tree = tree
        self._text = tree.source.text
        self._comments = Comments(tree)

    def text(self) -> str:
        items = self._comments.sequence(self._tree.items, self._item, 0, len(self._text))
        return render((items, HARD) if items else "", WIDTH)

    def _breaks(self, node: ast.Tree) -> bool:
        return self._comments.breaks(node.span.start, node.span.end)

    # Items and statements

    def _item(self, node: ast.Item) -> Doc:
        match node:
            case ast.Import():
                return f"import {_names(node.names)} from {node.path.text}"
            case ast.Alias():
                return (f"network {node.name.text} = ", self._expression(node.call))
            case ast.Defaults():
                return self._statement(node)
            case ast.RecipeDefinition():
                return self._recipe(node)
            case ast.Definition():
                body = Group(self._body(node.body), self._breaks(node.body))
                return (f"{node.keyword} {node.name.text}", self._parameters(node), " ", body)

    def _parameters(self, node: ast.Definition) -> Doc:
        if not node.parameters:
            return ""
        start, end = node.name.span.end, node.body.span.start
        return self._comments.listed("()", node.parameters, self._parameter, start, end)

    def _parameter(self, node: ast.ParameterDeclaration) -> Doc:
        if node.default is None:
            return node.name.text
        return (f"{node.name.text}=", self._expression(node.default))

    def _statement(self, node: ast.Statement) -> Doc:
        match node:
            case ast.Chain():
                return self._chain(node)
            case ast.InputDeclaration():
                photo = (" ", self._expression(node.photo)) if node.photo else ""
                return (f"input {node.name.text} ", self._expression(node.shape), photo)
            case ast.Let():
                return (f"let {_names(node.names)} = ", self._chain(node.chain))
            case ast.Assign():
                return (f"{_names(node.names)} = ", self._chain(node.chain))
            case ast.LayerDeclaration():
                return (f"layer {node.name.text} = ", self._expression(node.call))
            case ast.OutputDeclaration():
                names = (n.text if isinstance(n, ast.Name) else self._label(n) for n in node.names)
                return (f"output {', '.join(names)} = ", self._chain(node.chain))
            case ast.Return():
                chains = (part for chain in node.chains for part in (", ", self._chain(chain)))
                return ("return ", *tuple(chains)[1:])
            case ast.AuxiliaryDeclaration():
                start, end = node.name.span.end, node.chain.span.start
                arguments = self._arguments(node.arguments, start, end)
                return (f"auxiliary {node.name.text}", arguments, " = ", self._chain(node.chain))
            case ast.Defaults():
                first, *others = (self._default(default) for default in node.defaults)
                return ("defaults ", first, *((", ", other) for other in others))

    def _default(self, node: ast.Default) -> Doc:
        start, end = node.name.span.end, node.span.end
        return (node.name.text, self._arguments(node.arguments, start, end))

    def _chain(self, node: ast.Chain, indented: bool = True) -> Doc:
        start, end = node.span.start, node.span.end
        entries, _ = self._comments.entries(node.steps, self._step, start, end, inner=False)
        parts: list[Doc] = [entries[0].content, entries[0].beside]
        for entry in entries[1:]:
            for comment in entry.above:
                parts += [Indent(HARD) if indented else HARD, Aside(comment.text)]
            gap = HARD if entry.starts_line else Line()
            arrow = (Indent(gap) if indented else gap, "-> ")
            parts += [Group((arrow, entry.content)), entry.beside]
        return tuple(parts)

    # Elements

    def _step(self, node: ast.Step) -> Doc:
        element = self._element(node.element)
        return (self._label(node.label), ": ", element) if node.label else element

    def _label(self, node: ast.Label) -> str:
        """A name with expressions in it; it cannot break, so they have no margin."""
        parts = (
            part
            if isinstance(part, str)
            else "{" + render(self._expression(part, tight=True), sys.maxsize) + "}"
            for part in node.parts
        )
        return "".join(parts)

    def _element(self, node: ast.Element) -> Doc:
        match node:
            case ast.Join():
                return self._join(node)
            case ast.If():
                return Group(self._if(node), self._breaks(node))
            case ast.For():
                header: Doc = (f"for {_names(node.names)} in ", self._expression(node.values), " ")
                return (header, Group(self._body(node.body), self._breaks(node.body)))
            case ast.Repeat():
                header = ("repeat ", self._expression(node.count), " ")
                return (header, Group(self._body(node.body), self._breaks(node.body)))
            case ast.Group():
                return Group(self._body(node.body), self._breaks(node.body))
            case _:
                return self._expression(node)

    def _body(self, node: ast.Body) -> Doc:
        start, end = node.span.start + 1, node.span.end - 1
        return Hang(self._within(node.statements, self._statement, start, end))

    def _within(
        self, nodes: Sequence[Any], show: Callable[[Any], Doc], start: int, end: int
    ) -> Doc:
        """What stands between braces."""
        first = nodes[0].span.start if nodes else end
        beside = self._comments.beside(start, first)
        content = self._comments.sequence(nodes, show, start, end)
        if not content:
            return ("{", beside, Line("") if beside else "", "}")
        return ("{", beside, Indent((Line(), content)), Line(), "}")

    def _recipe(self, node: ast.RecipeDefinition) -> Doc:
        """A recipe; its networks fill lines, its items are laid out as a body."""
        first, *others = (name.text for name in node.networks)
        names = tuple(Group((",", Indent(Indent(Line())), name)) for name in others)
        start = self._text.index("{", node.networks[-1].span.end) + 1
        body = self._within(node.ingredients, self._expression, start, node.span.end - 1)
        broken = self._comments.breaks(start, node.span.end)
        return ("recipe ", first, *names, " ", Group(body, broken))

    def _if(self, node: ast.If) -> Doc:
        """An `if`, its lines to be grouped by the caller; a line break before `else` is kept."""
        head = ("if ", self._expression(node.condition), " ", self._body(node.then))
        if node.otherwise is None:
            return head
        start, end = node.then.span.end, node.otherwise.span.start
        beside = self._comments.beside(start, end)
        above = tuple((HARD, Aside(comment.text)) for comment in self._comments.take(start, end))
        nested = self._else_if(node.otherwise)
        otherwise = self._if(nested) if nested else self._body(node.otherwise)
        if not self._comments.breaks(start, end):
            return (head, " else ", otherwise)
        rest = Group(otherwise, self._breaks(nested or node.otherwise))
        return (Group(head, self._breaks(node.then)), Hang((beside, above, HARD)), "else ", rest)

    def _else_if(self, node: ast.Body) -> ast.If | None:
        """The `if` that is all there is in the body of an `else`."""
        match node.statements:
            case (ast.Chain(steps=(ast.Step(label=None, element=ast.If() as nested),)),):
                before = self._comments.pending(node.span.start, nested.span.start)
                behind = self._comments.pending(nested.span.end, node.span.end)
                return None if before or behind else nested
        return None

    def _join(self, node: ast.Join) -> Doc:
        """A join; a bar belongs to the branch behind it, the comments before it to the other."""
        start = self._text.index("{", node.operator.span.end) + 1
        parts: list[Doc] = []
        closing: Doc = " }"
        for branch in node.branches:
            statements = branch.statements if isinstance(branch, ast.Body) else (branch,)
            behind = statements[-1].span.end if statements else start
            space = _SPACE_AND_COMMENTS.match(self._text, behind)
            end = space.end() if space else behind
            closing = (HARD, "}") if self._comments.pending(behind, end) else " }"
            show = partial(self._branch_statement, alone=len(statements) == 1)
            content = self._comments.sequence(statements, show, start, end)
            parts += [Line(), "|", (" ", Align(content)) if content else ""]
            start = end + 1
        bars = ("{", *parts[2:], closing)
        return (f"{node.operator.text} ", Align(Group(bars, self._breaks(node))))

    def _branch_statement(self, node: ast.Statement | ast.Each, alone: bool) -> Doc:
        if isinstance(node, ast.Each):
            return self._each(node)
        if isinstance(node, ast.Chain):
            return self._chain(node, indented=not alone)
        return self._statement(node)

    # Expressions

    def _expression(self, node: ast.Expression, tight: bool = False) -> Doc:
        match node:
            case ast.Name() | ast.Literal():
                return node.text
            case ast.ListOf():
                start, end = node.span.start + 1, node.span.end - 1
                comma = not any(isinstance(item, ast.Each) for item in node.items)
                return self._comments.listed("[]", node.items, self._listed, start, end, comma)
            case ast.Parenthesised():
                start, end = node.span.start + 1, node.span.end - 1
                return self._comments.listed(
                    "()", [node.inner], self._expression, start, end, comma=False
                )
            case ast.Unary():
                sign = "not " if node.operator == "not" else node.operator
                return (sign, self._expression(node.operand, tight))
            case ast.Binary():
                return self._binary(node, tight)
            case ast.Conditional():
                then = self._expression(node.then, tight)
                condition = self._expression(node.condition, tight)
                otherwise = self._expression(node.otherwise, tight)
                return (then, " if ", condition, " else ", otherwise)
            case ast.Index():
                index = partial(self._expression, tight=True)
                start, end = node.values.span.end, node.span.end - 1
                position = self._comments.listed(
                    "[]", [node.position], index, start, end, comma=False
                )
                return (self._expression(node.values), position)
            case ast.Call():
                start, end = node.callee.span.end, node.span.end - 1
                callee = self._expression(node.callee)
                return (callee, self._arguments(node.arguments, start, end))

    def _listed(self, node: ast.Listed) -> Doc:
        match node:
            case ast.Each():
                return self._each(node)
            case ast.Chain():
                return self._chain(node)
        return self._expression(node)

    def _each(self, node: ast.Each) -> Doc:
        rounds = node.rounds
        made, values = self._listed(node.what), self._expression(rounds.values)
        condition: Doc = ""
        if rounds.condition is not None:
            condition = (" if ", self._expression(rounds.condition))
        return (made, f" for {_names(rounds.names)} in ", values, condition)

    def _binary(self, node: ast.Binary, tight: bool) -> Doc:
        number, name = isinstance(node.left, ast.Literal), isinstance(node.right, ast.Name)
        term = node.operator == "**" or (node.operator == "*" and number and name)
        tight_here = term or (tight and node.operator in _ARITHMETIC)
        operator = node.operator if tight_here else f" {node.operator} "
        return (self._expression(node.left, tight), operator, self._expression(node.right, tight))

    def _arguments(self, nodes: Sequence[ast.Argument], start: int, end: int) -> Doc:
        return self._comments.listed("()", nodes, self._argument, start, end)

    def _argument(self, node: ast.Argument) -> Doc:
        value = self._expression(node.value)
        return value if node.name is None else (f"{node.name.text}=", value)
