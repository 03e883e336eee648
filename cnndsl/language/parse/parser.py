"""Source text to syntax tree.

The grammar is `grammars/cnn.lark`. The top-level items of a text are parsed one by one, and kept
for other texts with the same items. In an item that does not parse, lines with an error are
blanked, so that one run reports all errors.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache, lru_cache
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
from cnndsl.language.parse.pieces import COMMENT_OR_STRING, moved, pieces
from cnndsl.language.parse.tables import load_parser

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
        for match in COMMENT_OR_STRING.finditer(source.text)
        if match.group().startswith("#")
    )
    errors: list[Diagnostic] = []
    items = _parse_text(source, errors)
    return ast.File(whole, source, tuple(items), comments), errors


def _parse_text(source: Source, errors: list[Diagnostic]) -> list[Any]:
    """The items of a text that could be parsed, each of which is parsed once for all texts."""
    found = pieces(source.text)
    parsed = [_parsed_piece(piece.text) for piece in found]
    if None in parsed and not all(piece.apart for piece in found):
        with suppress(SyntaxProblem):
            return _parse_items(source, source.text)
    items: list[Any] = []
    most = 1 + limits.RECOVERY // max(len(source.text), 1)
    for number, (piece, kept) in enumerate(zip(found, parsed, strict=True)):
        if kept is not None:
            items += moved(kept, source, piece.start)
        elif number < most:
            before = re.sub(r"[^\n]", " ", source.text[: piece.start])
            items += _parse_resilient(source, before + piece.text, errors)
    return items


@lru_cache(maxsize=1024)
def _parsed_piece(text: str) -> tuple[Any, ...] | None:
    """The items of a text of their own, or None if there is an error in it."""
    try:
        return tuple(_parse_items(Source("<item>", text), text))
    except SyntaxProblem:
        return None


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
        bad_token(source, equal, {"IMPORT", "DEFAULTS", "BLOCK", "NETWORK", "RECIPE"}, [], 0)
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
        problem_at(
            source,
            error.token,
            seen,
            "E0501",
            f"brackets are nested more than {limits.NESTING} deep",
        )
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
