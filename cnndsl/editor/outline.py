"""What a file defines, as a tree, and which lines can be folded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from cnndsl.editor.document import Document
from cnndsl.language import tree as ast
from cnndsl.language.words import Word, words


@dataclass(frozen=True)
class Entry:
    """A definition, or a part of one; `name_start` to `name_end` is its name in the text."""

    kind: str
    name: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    children: tuple[Entry, ...] = field(default=())


def outline(document: Document) -> list[Entry]:
    """Blocks and networks with their inputs, labelled parts and outputs.

    Items that do not parse are there by their first words, up to the next item.
    """
    parsed = [entry for item in document.unit.tree.items if (entry := _entry(document, item))]
    taken = {entry.name_start for entry in parsed}
    broken = [entry for entry in _by_words(document.text) if entry.name_start not in taken]
    return sorted([*parsed, *broken], key=lambda entry: entry.start)


def _entry(document: Document, item: ast.Item) -> Entry | None:
    match item:
        case ast.Definition():
            head = document.source.text[item.name.span.end : item.body.span.start].strip()
            inner = tuple(_parts(document, item.body))
            return _named(item.keyword, item.name, head, item, inner)
        case ast.Alias():
            call = item.call.span
            text = document.source.text[call.start : call.end]
            return _named("network", item.name, text, item)
        case ast.RecipeDefinition():
            others = ", ".join(name.text for name in item.networks[1:])
            return _named("recipe", item.networks[0], others, item)
    return None


def _named(
    kind: str, name: ast.Name, detail: str, tree: ast.Tree, inner: tuple[Entry, ...] = ()
) -> Entry:
    span, place = tree.span, name.span
    return Entry(kind, name.text, detail, span.start, span.end, place.start, place.end, inner)


def _parts(document: Document, body: ast.Body) -> Iterator[Entry]:
    """Inputs, layers, outputs, and what is labelled."""
    for statement in body.statements:
        match statement:
            case ast.InputDeclaration():
                shape = statement.shape.span
                text = document.source.text[shape.start : shape.end]
                yield _named("input", statement.name, text, statement)
            case ast.LayerDeclaration():
                yield _named("layer", statement.name, "", statement)
            case ast.OutputDeclaration():
                for name in statement.names:
                    if isinstance(name, ast.Name):
                        yield _named("output", name, "", statement)
            case ast.Chain():
                yield from _labelled(document, statement)


def _labelled(document: Document, chain: ast.Chain) -> Iterator[Entry]:
    for part in ast.parts(chain):
        label = part[0].label
        if label is None:
            for step in part:
                if isinstance(step.element, ast.For | ast.Repeat | ast.Group):
                    yield from _parts(document, step.element.body)
            continue
        text = document.source.text[label.span.start : label.span.end]
        inner: tuple[Entry, ...] = ()
        if isinstance(part[0].element, ast.For | ast.Repeat | ast.Group):
            inner = tuple(_parts(document, part[0].element.body))
        yield Entry(
            "part", text, "", part[0].span.start, part[-1].span.end,
            label.span.start, label.span.end, inner,
        )  # fmt: skip


def _by_words(text: str) -> Iterator[Entry]:
    """Definitions by their keyword at the start of a line and their name."""
    found = [word for word in words(text) if word.kind != "comment"]
    heads: list[tuple[Word, Word]] = []
    for word, name in pairwise(found):
        starts_line = word.start == 0 or text[word.start - 1] == "\n"
        if starts_line and word.text in ("block", "network", "recipe") and name.kind == "name":
            heads.append((word, name))
    ends = [*(word.start for word, _ in heads[1:]), len(text)]
    for (word, name), end in zip(heads, ends, strict=False):
        until = len(text[:end].rstrip())
        yield Entry(word.text, name.text, "", word.start, until, name.start, name.end)


def foldings(document: Document) -> list[tuple[int, int, str]]:
    """First and last line, from 0, of what can be folded: brackets, and runs of comments."""
    opened: list[Word] = []
    found: list[tuple[int, int, str]] = []
    comments: list[int] = []
    for word in words(document.text):
        line = document.lines.position(word.start).line
        if word.kind == "comment":
            if comments and comments[-1] != line - 1:
                found += _run(comments)
                comments = []
            comments.append(line)
        elif word.kind == "sign" and word.text in "({[":
            opened.append(word)
        elif word.kind == "sign" and word.text in ")}]" and opened:
            first = document.lines.position(opened.pop().start).line
            if line > first:
                found.append((first, line, "region"))
    return sorted({(a, b): (a, b, kind) for a, b, kind in [*found, *_run(comments)]}.values())


def _run(lines: list[int]) -> list[tuple[int, int, str]]:
    return [(lines[0], lines[-1], "comment")] if len(lines) > 1 else []
