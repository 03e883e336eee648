"""Offsets in a text as editors count: lines from 0, and units of an encoding in them."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

_BREAK = re.compile(r"\r\n|\n|\r")
_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


class Position(NamedTuple):
    """A line, from 0, and the units before the place in it."""

    line: int
    character: int


class Lines:
    """The lines of a text, in one of the encodings of the protocol."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.encoding = encoding
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def position(self, offset: int) -> Position:
        """Where a character stands; a place behind the end is the end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return Position(line, self._units(self.text[self._starts[line] : offset]))

    def offset(self, position: Position) -> int:
        """The character at a position; one behind the end of its line is that end."""
        line, character = position
        if line >= len(self._starts):
            return len(self.text)
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        content = self.text[start:end].rstrip("\r\n")
        if content.isascii():
            return start + min(character, len(content))
        units = 0
        for index, letter in enumerate(content):
            if units >= character:
                return start + index
            units += self._units(letter)
        return start + len(content)

    def _units(self, text: str) -> int:
        if text.isascii():
            return len(text)
        name = self.encoding if self.encoding == "utf-8" else f"{self.encoding}-le"
        encoded = text.encode(name, "surrogatepass")
        return len(encoded) // _BYTES[self.encoding]
