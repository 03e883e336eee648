"""Source text to syntax tree, and syntax errors to diagnostics.

The grammar is `grammars/cnn.lark`. When a text does not parse, its top-level items are parsed one
by one, and lines with an error are blanked, so that one run reports all errors.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken
from lark import Tree as LarkTree
from lark.exceptions import VisitError

from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.language import limits
from cnndsl.language import syntax as ast
from cnndsl.language.builder import TreeBuilder
from cnndsl.language.lines import LineBreaks, TooDeepError

_ITEM_START = re.compile(r"^(?:import|defaults|block|network)\b", re.MULTILINE)
_COMMENT_OR_STRING = re.compile(r'"[^"\n]*"|#[^\n]*')
_EXPRESSION_STARTS = {"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "TRUE", "FALSE"}
_OPERATORS = {
    *("PLUS", "MINUS", "STAR", "SLASH", "DOUBLE_SLASH", "PERCENT", "DOUBLE_STAR"),
    *("EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "IF"),
}
_NESTING = {"conditional", "binary", "unary", "call", "index", "list_", "parenthesised", "if_"}
_HINTS = {"EQUAL": "let name = … keeps a value, == compares"}
_SPELLING = {
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "VBAR": "'|'",
    "COMMA": "','",
    "EQUAL": "'='",
    "_ARROW": "'->'",
    "_NL": "a new line",
    "NAME": "a name",
    "STRING": "a string in double quotes",
    "LABEL": "a label",
    "NUMBER": "a number",
    "$END": "the end of the file",
}


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
    except _SyntaxProblem:
        for text in islice(_items(source.text), 1 + limits.RECOVERY // len(source.text)):
            items += _parse_resilient(source, text, errors)
    return ast.File(whole, source, tuple(items), comments), errors


def parse_expression(source: Source, start: int, end: int) -> Any:
    """The expression at source.text[start:end], behind a brace. Raises CnnError."""
    before = re.sub(r"[^\n]", " ", source.text[: start - 1]) + "="
    try:
        return _parse(source, before + source.text[start:end])
    except _SyntaxProblem as problem:
        raise CnnError([problem.diagnostic]) from None


@cache
def _lark() -> Lark:
    grammar = resources.files("cnndsl.grammars").joinpath("cnn.lark").read_text("utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        postlex=LineBreaks(),
        propagate_positions=True,
        maybe_placeholders=True,
        cache=_table_file() or False,
    )


def _table_file() -> str | None:
    """Where the parser's tables are kept between runs, or None if there is no place for them.

    Lark checks that a file belongs to this grammar, and makes the tables anew if it does not.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnndsl"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return str(folder / f"grammar-{sys.version_info.major}.{sys.version_info.minor}")


class _SyntaxProblem(Exception):
    """A syntax error as a diagnostic, with the line of the innermost open parenthesis."""

    def __init__(self, diagnostic: Diagnostic, first_line: int):
        super().__init__(diagnostic)
        self.diagnostic = diagnostic
        self.first_line = first_line


def _parse_items(source: Source, text: str) -> list[Any]:
    tree = _parse(source, text)
    if not isinstance(tree, list):
        equal = Token("EQUAL", "=", text.rindex("=", 0, tree.span.start))
        _bad_token(source, equal, {"IMPORT", "DEFAULTS", "BLOCK", "NETWORK"}, [], 0)
    return tree


def _parse(source: Source, text: str) -> Any:
    seen: list[Token] = []
    parser = _lark().parse_interactive(text)
    try:
        for token in parser.lexer_thread.lex(parser.parser_state):
            parser.feed_token(token)
            seen.append(token)
        tree: LarkTree[Token] = parser.feed_eof(seen[-1] if seen else None)
    except TooDeepError as error:
        _problem(source, error.token, seen, "E0501", "brackets are nested too deeply")
    except UnexpectedCharacters as error:
        _bad_character(source, error, seen)
    except UnexpectedToken as error:
        _bad_token(source, error.token, parser.accepts(), seen, len(text.rstrip()))
    _check_depth(source, tree)
    try:
        return TreeBuilder(source, parse_expression).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, CnnError):
            diagnostic = error.orig_exc.diagnostics[0]
            assert diagnostic.span is not None
            raise _SyntaxProblem(diagnostic, diagnostic.span.line) from None
        raise


def _check_depth(source: Source, tree: LarkTree[Token]) -> None:
    """Raise _SyntaxProblem if expressions, or branches of an if, are nested too deeply."""
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        depth += node.data in _NESTING
        if depth > limits.NESTING:
            span = Span(source, node.meta.start_pos, node.meta.end_pos)
            message = f"this is nested more than {limits.NESTING} deep"
            raise _SyntaxProblem(Diagnostic("E0501", message, span), span.line)
        stack += [(child, depth) for child in node.children if isinstance(child, LarkTree)]


def _bad_character(source: Source, error: UnexpectedCharacters, seen: list[Token]) -> NoReturn:
    token = Token("BAD", error.char, error.pos_in_stream, error.line)
    if error.char == '"':
        _problem(source, token, seen, "E0102", "the string is not closed on its line")
    _problem(source, token, seen, "E0101", f"unexpected character {error.char!r}")


def _bad_token(
    source: Source, token: Token, accepted: set[str], seen: list[Token], end: int
) -> NoReturn:
    expected = _expected(accepted - {"COMMENT"})
    hint = _HINTS.get(token.type)
    if token.type == "$END":
        token = Token("$END", "", end)
        found = "it ends here" if source.text[end:].strip() else "the file ends here"
    elif token.type == "_NL":
        found = "the line ends here"
    else:
        found = f"unexpected {_SPELLING.get(token.type, repr(str(token)))}"
        if token.type in ("NAME", "NUMBER", "STRING", "LABEL"):
            found = f"unexpected {str(token)!r}"
    opened = _open_bracket(seen)
    if opened is not None and _ends_bracket(token, opened):
        line, column = source.position(opened.start_pos or 0)
        hint = f"the {str(opened)!r} at line {line}, column {column} is still open"
    _problem(source, token, seen, "E0103", f"{found}, expected {expected}", hint)


def _ends_bracket(token: Token, opened: Token) -> bool:
    """Whether a token tells that the bracket should have been closed before it."""
    inside = opened.type == "LBRACE"
    return token.type == "$END" or (not inside and token.type in ("RBRACE", "LBRACE"))


def _problem(
    source: Source,
    token: Token,
    seen: list[Token],
    code: str,
    message: str,
    hint: str | None = None,
) -> NoReturn:
    start = min(token.start_pos or 0, len(source.text))
    width = 1 if token.type == "_NL" else len(token)
    opened = _open_bracket(seen)
    line = source.position(start)[0]
    if opened is not None and opened.type != "LBRACE":
        line = source.position(opened.start_pos or 0)[0]
    diagnostic = Diagnostic(code, message, Span(source, start, start + width), hint)
    raise _SyntaxProblem(diagnostic, line) from None


def _open_bracket(tokens: list[Token]) -> Token | None:
    """The innermost bracket that is open after the tokens."""
    open_brackets: list[Token] = []
    for token in tokens:
        if token.type in ("LPAR", "LSQB", "LBRACE"):
            open_brackets.append(token)
        elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else None


def _expected(accepted: set[str]) -> str:
    """The tokens that would have been right, most telling first, as text."""
    words = []
    if accepted >= _EXPRESSION_STARTS:
        words.append("a value")
        accepted -= _EXPRESSION_STARTS | {"MINUS", "NOT", "LABEL", "IF", "FOR", "REPEAT", "LBRACE"}
    elif accepted & {"RPAR", "RSQB", "_ARROW"}:
        accepted -= {"LPAR", "LSQB", "LBRACE"}
    elif "NETWORK" in accepted:
        accepted -= {"EQUAL", "$END"}
    closing: list[str] = [
        t for t in ("RPAR", "RSQB", "COMMA", "VBAR", "_ARROW", "RBRACE") if t in accepted
    ]
    if len(accepted - _OPERATORS) <= 4 or not closing:
        rest = sorted(accepted - _OPERATORS - set(closing))
        closing += [t for t in rest if t not in closing]
    words += [_SPELLING.get(token, f"'{token.lower()}'") for token in closing]
    if not words:
        words = ["an operator"]
    words = words[:6]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _items(text: str) -> Iterator[str]:
    """The text cut at its top-level items, each with all before it blanked."""
    starts = [match.start() for match in _ITEM_START.finditer(text)]
    if not starts or text[: starts[0]].strip():
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield re.sub(r"[^\n]", " ", text[:start]) + text[start:end]


def _parse_resilient(source: Source, text: str, errors: list[Diagnostic]) -> list[Any]:
    """The items of a text; on an error the lines at fault are blanked and it is tried again."""
    found: list[Diagnostic] = []
    most = min(limits.SYNTAX_ERRORS - len(errors), 1 + limits.RECOVERY // len(text))
    while len(found) < most:
        try:
            items = _parse_items(source, text)
        except _SyntaxProblem as problem:
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
