"""Answers as the language server protocol has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from lsprotocol import types
from pygls import uris

from cnndsl.diagnostics import Diagnostic, Note, Severity, Span
from cnndsl.editor.actions import Action
from cnndsl.editor.completion import Completion
from cnndsl.editor.document import Document
from cnndsl.editor.inlay import Inlay
from cnndsl.editor.outline import Entry
from cnndsl.editor.positions import Lines
from cnndsl.editor.rename import Edit
from cnndsl.language import tree as ast
from cnndsl.language.sources import resolved
from cnndsl.language.tokens import KINDS, tokens

_COMPLETIONS = {
    "keyword": types.CompletionItemKind.Keyword,
    "operator": types.CompletionItemKind.Function,
    "function": types.CompletionItemKind.Function,
    "block": types.CompletionItemKind.Class,
    "network": types.CompletionItemKind.Module,
    "parameter": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.Variable,
    "size": types.CompletionItemKind.Property,
    "constant": types.CompletionItemKind.EnumMember,
    "file": types.CompletionItemKind.File,
}
_SYMBOLS = {
    "block": types.SymbolKind.Class,
    "network": types.SymbolKind.Module,
    "recipe": types.SymbolKind.Object,
    "input": types.SymbolKind.Variable,
    "output": types.SymbolKind.Variable,
    "layer": types.SymbolKind.Object,
    "part": types.SymbolKind.Field,
}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
_UNUSED = ("W0201", "W0202", "W0203")


def uri_of(name: Path | str) -> str:
    """The address of a file; texts that are no files are named by their address."""
    if _SCHEME.match(str(name)):
        return str(name)
    return uris.from_fs_path(str(Path(name).absolute())) or str(name)


def place(lines: Lines, start: int, end: int) -> types.Range:
    """A range of characters."""
    first, last = lines.position(start), lines.position(end)
    return types.Range(types.Position(*first), types.Position(*last))


def location(span: Span, encoding: str) -> types.Location:
    """A place in some file."""
    lines = Lines(span.source.text, encoding)
    return types.Location(uri_of(span.source.name), place(lines, span.start, span.end))


def finding(document: Document, found: Diagnostic) -> types.Diagnostic:
    """A finding; one of another file stands at the import of that file."""
    lines = document.lines
    message = f"{found.message}\n{found.hint}" if found.hint else found.message
    related: list[Note] = [*found.trail, *found.notes]
    span = found.span
    where = types.Range(types.Position(0, 0), types.Position(0, 0))
    if span is not None and span.source is document.source:
        where = place(lines, span.start, span.end)
    elif span is not None:
        statement = _import_of(document, span)
        where = place(lines, statement.start, statement.end) if statement else where
        message = f"{span}: {message}"
        related.insert(0, Note("it is here", span))
    is_error = found.severity == Severity.ERROR
    return types.Diagnostic(
        range=where,
        message=message,
        severity=types.DiagnosticSeverity.Error if is_error else types.DiagnosticSeverity.Warning,
        code=found.code,
        source="cnndsl",
        tags=[types.DiagnosticTag.Unnecessary] if found.code in _UNUSED else None,
        related_information=[
            types.DiagnosticRelatedInformation(location(note.span, lines.encoding), note.text)
            for note in related
            if note.span and note.span.source.name != "<settings>"
        ],
    )


def _import_of(document: Document, span: Span) -> Span | None:
    """The statement that imports the file of a place, or one that in turn imports it."""
    unit = document.unit
    statements = [item for item in unit.tree.items if isinstance(item, ast.Import)]
    for item in statements:
        name = Path(str(item.path.value)).name
        for other in unit.imports:
            known = {resolved(u.source.name) for u in other.all_units()}
            here = Path(other.source.name).name == name
            if here and resolved(span.source.name) in known:
                return item.path.span
    return statements[0].path.span if statements else None


def completion(item: Completion, at: types.Range) -> types.CompletionItem:
    """A completion that takes the place of the word that is begun."""
    return types.CompletionItem(
        label=item.label,
        kind=_COMPLETIONS[item.kind],
        detail=item.detail or None,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, item.text)
        if item.text
        else None,
        text_edit=types.TextEdit(at, item.insert),
        sort_text=f"{item.kind == 'keyword':d}{item.label}",
    )


def symbol(document: Document, entry: Entry) -> types.DocumentSymbol:
    """A definition or part with all that is in it."""
    return types.DocumentSymbol(
        name=entry.name or "?",
        detail=entry.detail or None,
        kind=_SYMBOLS[entry.kind],
        range=place(document.lines, entry.start, entry.end),
        selection_range=place(document.lines, entry.name_start, entry.name_end),
        children=[symbol(document, child) for child in entry.children],
    )


def inlay(document: Document, hint: Inlay) -> types.InlayHint:
    """A shape behind a step."""
    return types.InlayHint(
        position=types.Position(*document.lines.position(hint.offset)),
        label=hint.text,
        kind=types.InlayHintKind.Type,
        tooltip=hint.tooltip,
        padding_left=True,
    )


def workspace_edit(edits: Iterable[Edit], encoding: str) -> types.WorkspaceEdit:
    """Edits by the files that they are in."""
    return types.WorkspaceEdit(changes=dict(_by_file(edits, encoding)))


def _by_file(
    edits: Iterable[Edit], encoding: str
) -> Iterator[tuple[str, Sequence[types.TextEdit]]]:
    def name(edit: Edit) -> str:
        return edit.span.source.name

    for file, group in groupby(sorted(edits, key=name), key=name):
        own = list(group)
        lines = Lines(own[0].span.source.text, encoding)
        yield (
            uri_of(file),
            [types.TextEdit(place(lines, e.span.start, e.span.end), e.text) for e in own],
        )


def action(document: Document, proposal: Action) -> types.CodeAction:
    """A quick fix."""
    return types.CodeAction(
        title=proposal.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[finding(document, proposal.finding)],
        edit=workspace_edit(proposal.edits, document.lines.encoding),
        is_preferred=proposal.only,
    )


def encoded(document: Document) -> Iterator[int]:
    """The tokens of a text, packed: five numbers each, relative to the one before."""
    line = character = 0
    for token in tokens(document.text, document.unit):
        start = document.lines.position(token.start)
        end = document.lines.position(token.end)
        yield start.line - line
        yield start.character - (character if start.line == line else 0)
        yield end.character - start.character
        yield KINDS.index(token.kind)
        yield int(token.declares)
        line, character = start
