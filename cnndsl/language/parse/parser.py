"""Source text to syntax tree.

The grammar is `grammars/cnn.lark`. When a text does not parse, its top-level items are parsed one
by one, and lines with an error are blanked, so that one run reports all errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from lark import Token, UnexpectedCharacters, UnexpectedToken
from lark import Tree as LarkTree
from lark.exceptions import VisitError

from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.parse.builder import TreeBuilder
from cnndsl.language.parse.errors import SyntaxProblem, bad_character, bad_token, problem_at
from cnndsl.language.parse.lines import TooDeepError
from cnndsl.language.parse.tables import load_parser

_ITEM_START = re.compile(
    r"^(?:(?P<keyword>import|defaults|block|network)\b"
    r"|(?!(?:input|let|layer|output|auxiliary|return|if|else|for|repeat|not)\b)"
    r"[A-Za-z_]\w*[ \t]+(?!(?:if|else|and|or|in|from)\b)[A-Za-z_])",
    re.MULTILINE,
)
"""A line that starts with an item's keyword, or with two names in a row: a misspelt keyword."""

_COMMENT_OR_STRING = re.compile(r'"[^"\n]*"|#[^\n]*')
_NESTING = {"conditional", "binary", "unary", "call", "index", "list_", "parenthesised", "if_"}


_parser = cache(load_parser)


def parse_file(source: Source) -> ast.File:
    """The syntax tree of a text. Raises CnnError with all syntax errors."""
    tree, errors = parse_with_errors(source)
    if errors:
        raise CnnError(errors)
    return tree


def parse_with_errors(source: Source) -> tuple[ast.File, list[Diagnostic]]:
    """What could be parsed of a text, and the syntax errors of the rest."""
    whole = Span(source, 0, len(source.text))
    comments = tuple(
        Span(source, match.start(), match.end())
        for match in _COMMENT_OR_STRING.finditer(source.text)
        if match.group().startswith("#")
    )
    errors: list[Diagnostic] = []
    items: list[Any] = []
    try:
        items = _parse_items(source, source.text)
    except SyntaxProblem:
        for text in islice(_items(source.text), 1 + limits.RECOVERY // len(source.text)):
            items += _parse_resilient(source, text, errors)
    return ast.File(whole, source, tuple(items), comments), errors


def parse_expression(source: Source, start: int, end: int) -> Any:
    """The expression at source.text[start:end], behind a brace. Raises CnnError."""
    before = re.sub(r"[^\n]", " ", source.text[: start - 1]) + "="
    try:
        return _parse(source, before + source.text[start:end])
    except SyntaxProblem as problem:
        raise CnnError([problem.diagnostic]) from None


def _parse_items(source: Source, text: str) -> list[Any]:
    tree = _parse(source, text)
    if not isinstance(tree, list):
        equal = Token("EQUAL", "=", text.rindex("=", 0, tree.span.start))
        bad_token(source, equal, {"IMPORT", "DEFAULTS", "BLOCK", "NETWORK"}, [], 0)
    return tree


def _parse(source: Source, text: str) -> Any:
    seen: list[Token] = []
    parser = _parser().parse_interactive(text)
    try:
        for token in parser.lexer_thread.lex(parser.parser_state):
            parser.feed_token(token)
            seen.append(token)
        tree: LarkTree[Token] = parser.feed_eof(seen[-1] if seen else None)
    except TooDeepError as error:
        problem_at(source, error.token, seen, "E0501", "brackets are nested too deeply")
    except UnexpectedCharacters as error:
        bad_character(source, error, seen)
    except UnexpectedToken as error:
        bad_token(source, error.token, parser.accepts(), seen, len(text.rstrip()))
    _check_depth(source, tree)
    try:
        return TreeBuilder(source, parse_expression).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, CnnError):
            diagnostic = error.orig_exc.diagnostics[0]
            assert diagnostic.span is not None
            raise SyntaxProblem(diagnostic, diagnostic.span.line) from None
        raise


def _check_depth(source: Source, tree: LarkTree[Token]) -> None:
    """Raise SyntaxProblem if expressions, or branches of an if, are nested too deeply."""
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        depth += node.data in _NESTING
        if depth > limits.NESTING:
            span = Span(source, node.meta.start_pos, node.meta.end_pos)
            message = f"this is nested more than {limits.NESTING} deep"
            raise SyntaxProblem(Diagnostic("E0501", message, span), span.line)
        stack += [(child, depth) for child in node.children if isinstance(child, LarkTree)]


def _items(text: str) -> Iterator[str]:
    """The text cut at its top-level items, each with all before it blanked."""
    starts = list(_item_starts(_COMMENT_OR_STRING.sub(lambda m: " " * len(m.group()), text)))
    if not starts or text[: starts[0]].strip():
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield re.sub(r"[^\n]", " ", text[:start]) + text[start:end]


def _item_starts(text: str) -> Iterator[int]:
    """Where items start in a text without comments; outside braces their keyword may be wrong."""
    depth = seen = 0
    for match in _ITEM_START.finditer(text):
        start = match.start()
        depth += text.count("{", seen, start) - text.count("}", seen, start)
        seen = start
        if match["keyword"]:
            depth = 0
        if depth <= 0:
            yield start


def _parse_resilient(source: Source, text: str, errors: list[Diagnostic]) -> list[Any]:
    """The items of a text; on an error the lines at fault are blanked and it is tried again."""
    found: list[Diagnostic] = []
    most = min(limits.SYNTAX_ERRORS - len(errors), 1 + limits.RECOVERY // len(text))
    while len(found) < most:
        try:
            items = _parse_items(source, text)
        except SyntaxProblem as problem:
            span = problem.diagnostic.span
            assert span is not None
            if found and found[-1].span is not None and span.line <= found[-1].span.line:
                break
            found.append(problem.diagnostic)
            blanked = _blank_lines(text, problem.first_line, span.line)
            if blanked is None:
                break
            text = blanked
        else:
            errors += found
            return [] if found else items
    errors += found
    return []


def _blank_lines(text: str, first: int, last: int) -> str | None:
    """The text without the lines (from 1), or None if they hold an unmatched brace."""
    lines = text.split("\n")
    cut = "".join(lines[first - 1 : last])
    depth = lowest = 0
    for character in cut:
        depth += (character == "{") - (character == "}")
        lowest = min(lowest, depth)
    if depth or lowest:
        return None
    return "\n".join(
        " " * len(line) if first <= number <= last else line
        for number, line in enumerate(lines, start=1)
    )
