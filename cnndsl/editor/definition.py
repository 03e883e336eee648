"""Where a name is declared, and where else it stands."""

from __future__ import annotations

from collections.abc import Iterable

from cnndsl.diagnostics import Span
from cnndsl.editor.document import Document
from cnndsl.language import tree as ast
from cnndsl.language.loader import imported_file
from cnndsl.language.names import Occurrence, occurrence_at, occurrences


def definition(document: Document, offset: int) -> Span | None:
    """The declaration of the name at an offset, or the start of the file that an import names."""
    found = occurrence_at(occurrences(document.unit), offset)
    if found is not None:
        return found.symbol.place
    for item in document.unit.tree.items:
        if isinstance(item, ast.Import) and item.path.span.start <= offset <= item.path.span.end:
            path = imported_file(document.source, str(item.path.value), document.files)
            return Span(document.files.read(path), 0, 0) if path else None
    return None


def references(document: Document, offset: int, others: Iterable[Document]) -> list[Occurrence]:
    """All places of the name at an offset, in this document and in others."""
    own = occurrences(document.unit)
    found = occurrence_at(own, offset)
    if found is None:
        return []
    key = found.symbol.key
    everywhere = [own, *(occurrences(other.unit) for other in others)]
    return [place for places in everywhere for place in places if place.symbol.key == key]
