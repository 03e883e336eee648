"""Which line breaks separate statements.

A line break means "then", except inside parentheses and square brackets, beside braces and bars,
around arrows, behind commas, and before `else`. Comments are dropped here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from lark import Token

from cnndsl.language import limits

_OPENING = {"LPAR", "LSQB", "LBRACE"}
_CLOSING = {"RPAR", "RSQB", "RBRACE"}
_NO_BREAK_AFTER = {"LBRACE", "VBAR", "_ARROW", "COMMA"}
_NO_BREAK_BEFORE = {"RBRACE", "VBAR", "_ARROW", "ELSE"}


class TooDeepError(Exception):
    """Brackets are nested beyond the limit; holds the opening bracket."""

    def __init__(self, token: Token):
        super().__init__(token)
        self.token = token


class LineBreaks:
    """A lark post-lexer that keeps a `_NL` token only where it separates statements."""

    always_accept: ClassVar[tuple[str, ...]] = ("_NL", "COMMENT")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Filter a token stream. Raises TooDeepError."""
        open_brackets: list[str] = []
        previous: str | None = None
        pending: Token | None = None
        for token in stream:
            if token.type == "COMMENT":
                continue
            if token.type == "_NL":
                inside = bool(open_brackets) and open_brackets[-1] != "LBRACE"
                if previous is not None and previous not in _NO_BREAK_AFTER and not inside:
                    pending = pending or token
                continue
            if pending is not None and token.type not in _NO_BREAK_BEFORE:
                yield pending
            pending = None
            if token.type in _OPENING:
                open_brackets.append(token.type)
                if len(open_brackets) > limits.NESTING:
                    raise TooDeepError(token)
            elif token.type in _CLOSING and open_brackets:
                open_brackets.pop()
            previous = token.type
            yield token
