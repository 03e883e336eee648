"""Changes that the hints of findings propose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from cnndsl.diagnostics import Diagnostic
from cnndsl.editor.document import Document
from cnndsl.editor.rename import Edit, RenameError, rename
from cnndsl.language.names import occurrence_at, occurrences

_MEANT = re.compile(r"^did you mean (.*)\?$")
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True)
class Action:
    """Edits that mend a finding; `only` if they are the one proposal for it."""

    title: str
    finding: Diagnostic
    edits: tuple[Edit, ...]
    only: bool


def actions(document: Document, start: int, end: int) -> list[Action]:
    """The proposals of all findings that touch a range."""
    return [
        action
        for found in document.findings()
        if found.span and found.span.source is document.source
        if found.span.start <= end and start <= found.span.end
        for action in _proposals(document, found)
    ]


def _proposals(document: Document, found: Diagnostic) -> Iterator[Action]:
    assert found.span is not None
    present = document.source.text[found.span.start : found.span.end]
    meant = _MEANT.match(found.hint or "")
    names = _QUOTED.findall(meant[1]) if meant else []
    for name in names:
        text = f'"{name}"' if present.startswith('"') else name
        yield Action(f"Change to {name}", found, (Edit(found.span, text),), len(names) == 1)
    if found.code == "W0201" and ": " not in (found.hint or ""):
        yield from _unused(document, found, present)


def _unused(document: Document, found: Diagnostic, name: str) -> Iterator[Action]:
    """The underscore of names that stay unused; other files may give parameters by their name."""
    assert found.span is not None
    place = occurrence_at(occurrences(document.unit), found.span.start)
    if place is None or place.symbol.kind == "parameter":
        return
    with suppress(RenameError):
        edits = rename(document, found.span.start, f"_{name}", ())
        yield Action(f"Rename to _{name}", found, tuple(edits), False)
