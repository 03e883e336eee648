"""Texts with marks: `@word@` stands for a word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent


def filled(template: str, words: Mapping[str, str], folder: Path = FOLDER) -> str:
    """The text of a template with words in place of its marks, in which there may be others."""

    def word(mark: re.Match[str]) -> str:
        found = words[mark[1]]
        return re.sub(r"@(\w+)@", word, found)

    return re.sub(r"@(\w+)@", word, (folder / template).read_text("utf-8"))
