"""The words of a text, whether it parses or not."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"[^"\n]*"?)'
    r"|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)(?![A-Za-z_])"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>->|\*\*|//|[=!<>]=|[^\s\w])"
)

KEYWORDS = frozenset(
    {
        *("import", "from", "defaults", "block", "network", "recipe", "input", "let", "layer"),
        *("output", "auxiliary", "return", "if", "else", "for", "in", "repeat", "and", "or"),
        *("not", "true", "false"),
    }
)


@dataclass(frozen=True)
class Word:
    """A word with its place; `kind` is comment, string, number, name or sign."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Behind the last character."""
        return self.start + len(self.text)


def words(text: str) -> list[Word]:
    """All words of a text; characters without a meaning are left out."""
    return [
        Word(match.lastgroup or "", match.group(), match.start()) for match in _WORD.finditer(text)
    ]


def before(found: Sequence[Word], offset: int) -> list[Word]:
    """The words that end at or before an offset, without comments."""
    return [word for word in found if word.end <= offset and word.kind != "comment"]


def name_at(found: Sequence[Word], offset: int) -> Word | None:
    """The name that an offset is in or at the end of."""
    starts = [word.start for word in found]
    for index in (bisect_right(starts, offset) - 1, bisect_right(starts, offset - 1) - 1):
        if index >= 0:
            word = found[index]
            if word.kind == "name" and word.start <= offset <= word.end:
                return word
    return None
