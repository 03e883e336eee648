"""Shapes behind the steps of chains."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.editor.document import Document


@dataclass(frozen=True)
class Inlay:
    """A text to be shown behind an offset; `tooltip` tells all of what it shortens."""

    offset: int
    text: str
    tooltip: str


def inlays(document: Document, start: int, end: int) -> list[Inlay]:
    """What each step in a range makes: one shape, or the first and the last of several."""
    found = []
    for (_, behind), through in sorted(document.passages.items()):
        if start <= behind <= end:
            shapes = [str(passage.after.type) for _, passage in through]
            kinds = list(dict.fromkeys(shapes))
            text = kinds[0] if len(kinds) == 1 else f"{kinds[0]} … {kinds[-1]}"
            found.append(Inlay(behind, text, ", ".join(kinds)))
    return found
