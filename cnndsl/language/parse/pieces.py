"""The top-level items of a text, each parsed once however often the text around it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnndsl.diagnostics import Source, Span
from cnndsl.language import tree as ast

COMMENT_OR_STRING = re.compile(r'"[^"\n]*"|#[^\n]*')
_ITEM_START = re.compile(
    r"^(?:(?P<keyword>import|defaults|block|network|recipe)\b"
    r"|(?!(?:input|let|layer|output|auxiliary|return|if|else|for|repeat|not)\b)"
    r"[A-Za-z_]\w*[ \t]+(?!(?:if|else|and|or|in|from)\b)[A-Za-z_])",
    re.MULTILINE,
)
"""A line that starts with an item's keyword, or with two names in a row: a misspelt keyword."""


@dataclass(frozen=True)
class Piece:
    """One item's text with where it starts; `apart` if no bracket is open there."""

    start: int
    text: str
    apart: bool


def pieces(text: str) -> list[Piece]:
    """A text cut at its top-level items."""
    plain = COMMENT_OR_STRING.sub(lambda match: " " * len(match.group()), text)
    starts = list(_item_starts(plain))
    if not starts or text[: starts[0][0]].strip():
        starts.insert(0, (0, True))
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return [
        Piece(start, text[start:end], apart)
        for (start, apart), end in zip(starts, ends, strict=True)
    ]


def _item_starts(text: str) -> Iterator[tuple[int, bool]]:
    """Where items start in a text without comments, and whether no bracket is open there.

    Outside braces the keyword may be wrong.
    """
    braces = others = seen = 0
    for match in _ITEM_START.finditer(text):
        start = match.start()
        between = text[seen:start]
        braces += between.count("{") - between.count("}")
        others += sum(map(between.count, "([")) - sum(map(between.count, ")]"))
        seen = start
        apart = braces == others == 0
        if match["keyword"]:
            braces = 0
        if braces <= 0:
            yield start, apart


def moved(tree: Any, source: Source, offset: int) -> Any:
    """A copy of a tree, or of a tuple with trees in it, at another place in another source."""
    if isinstance(tree, tuple):
        return tuple(moved(item, source, offset) for item in tree)
    if isinstance(tree, Span):
        return Span(source, tree.start + offset, tree.end + offset)
    if not isinstance(tree, ast.Tree):
        return tree
    copy = object.__new__(type(tree))
    values = copy.__dict__
    for name in tree.__dataclass_fields__:
        values[name] = moved(getattr(tree, name), source, offset)
    return copy
