"""Another name for what a name refers to, everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndsl.diagnostics import CnnError, Source, Span
from cnndsl.editor.definition import references
from cnndsl.editor.document import Document
from cnndsl.language.loader import load_unit
from cnndsl.language.names import Occurrence, occurrence_at, occurrences
from cnndsl.language.sources import Files, resolved
from cnndsl.language.words import KEYWORDS

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Edit:
    """A new text for a place."""

    span: Span
    text: str


class RenameError(ValueError):
    """A name cannot be changed; the text says why."""


def renamable(document: Document, offset: int) -> Occurrence:
    """The name at an offset, if texts declare it. Raises RenameError."""
    found = occurrence_at(occurrences(document.unit), offset)
    if found is None:
        raise RenameError("there is no name that means something")
    if found.symbol.place is None:
        raise RenameError(f"{found.symbol.text} is part of the language")
    return found


def rename(document: Document, offset: int, name: str, others: Sequence[Document]) -> list[Edit]:
    """The edits that give what stands at an offset another name, in all documents.

    Raises RenameError if it is no name of the texts, or if the texts would not mean the same.
    """
    renamable(document, offset)
    if not _NAME.fullmatch(name) or name in KEYWORDS:
        raise RenameError(f"{name!r} cannot be a name")
    edits = [Edit(place.span, name) for place in references(document, offset, others)]
    _require_same(document, offset, edits, others)
    return edits


def _require_same(
    document: Document, offset: int, edits: Sequence[Edit], others: Sequence[Document]
) -> None:
    """Raise RenameError unless all names of the new texts refer to what they did."""
    documents = {_path(other.given.name): other for other in (document, *others)}
    texts = {path: applied(other.text, _of(edits, path)) for path, other in documents.items()}

    def read(path: Path) -> Source:
        text = texts.get(_path(str(path)))
        return Source(str(path), text) if text is not None else document.files.read(path)

    files = Files(document.files.has, read)

    for path, other in documents.items():
        try:
            unit = load_unit(Source(other.given.name, texts[path]), files)
        except CnnError as error:
            raise RenameError(str(error)) from None
        before = [_key(found, edits) for found in occurrences(other.unit)]
        after = [found.symbol.key for found in occurrences(unit)]
        known = {found.code for found in other.unit.findings}
        new = [found for found in unit.findings if found.code not in known]
        if before != after or len(unit.findings) > len(other.unit.findings) or new:
            reason = f": {new[0].message}" if new else ""
            raise RenameError(f"the text would not mean the same with this name{reason}")


def applied(text: str, edits: Sequence[Edit]) -> str:
    """A text with edits made; they do not overlap."""
    for edit in sorted(edits, key=lambda e: e.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def _key(found: Occurrence, edits: Sequence[Edit]) -> tuple[str, str, int]:
    """What a name refers to, its declaration where it will stand."""
    kind, path, start = found.symbol.key
    if found.symbol.place is None:
        return kind, path, start
    moved = sum(
        len(edit.text) - (edit.span.end - edit.span.start)
        for edit in _of(edits, path)
        if edit.span.start < start
    )
    return kind, path, start + moved


def _of(edits: Sequence[Edit], path: str) -> list[Edit]:
    return [edit for edit in edits if _path(edit.span.source.name) == path]


def _path(name: str) -> str:
    return str(resolved(name))
