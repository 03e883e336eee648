"""Diagnostics as text with the source shown, as JSON, and as GitHub annotations."""

from __future__ import annotations

import json as json_format
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from cnndsl.diagnostics.diagnostic import Diagnostic
from cnndsl.diagnostics.signs import SIGN, shown, shown_cell
from cnndsl.diagnostics.span import Span

Paint: TypeAlias = Callable[[str, str], str]
"""Colours a text by its role: "error", "warning", "note", "frame" or "message"."""

FORMATS = ("text", "json", "github")
TAB = 4
LONGEST_LINE = 200
MOST = 100
"""Findings that are shown as text; JSON and annotations have all."""
LONGEST_TEXT = 1200
"""Characters of a message, note or hint that are shown."""
LEAD = 60
"""Columns shown before the span when a line is longer than LONGEST_LINE."""


def render(
    diagnostics: Sequence[Diagnostic], output_format: str, paint: Paint | None = None
) -> str:
    """The diagnostics in one of FORMATS; `paint` colours text only."""
    if output_format == "json":
        return json(diagnostics)
    if output_format == "github":
        return github(diagnostics)
    return text(diagnostics, paint)


def text(diagnostics: Sequence[Diagnostic], paint: Paint | None = None) -> str:
    """The first diagnostics with their lines of source, carets, notes, trails and hints."""
    use = paint or (lambda content, role: content)
    shown = ["\n".join(_paragraph(item, use)) for item in diagnostics[:MOST]]
    if (more := len(diagnostics) - MOST) > 0:
        shown.append(f"{more:,} more findings are not shown (--output-format json has all)")
    return "\n\n".join(shown)


def _paragraph(item: Diagnostic, paint: Paint) -> Iterator[str]:
    severity = str(item.severity)
    yield paint(f"{severity}[{item.code}]", severity) + paint(
        f": {_short(item.message)}", "message"
    )
    spans = [item.span, *(note.span for note in item.notes)]
    margin = max((len(str(_last_line(span))) for span in spans if span), default=1)
    if item.span:
        yield from _excerpt(item.span, margin, severity, paint)
    for note in item.notes:
        label = paint("note", "note")
        if note.span:
            yield f"{label}: {_short(note.text)}"
            yield from _excerpt(note.span, margin, "note", paint)
        else:
            yield f"{' ' * margin} {paint('=', 'frame')} {label}: {_short(note.text)}"
    if item.trail:
        yield f"{' ' * margin} {paint('=', 'frame')} {_short(_trail(item))}"
    if item.hint:
        yield f"{' ' * margin} {paint('=', 'frame')} {paint('hint', 'note')}: {_short(item.hint)}"


def _short(text: str) -> str:
    """A text as it is shown, without the middle of one that quotes thousands of letters."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT // 2]} … {text[-LONGEST_TEXT // 4 :]}"
    return shown(text)


def _trail(item: Diagnostic) -> str:
    """The calls with their lines; a file is named where it is another than before."""
    source = item.span.source if item.span else None
    steps = []
    for note in item.trail:
        where = ""
        if note.span:
            moved = note.span.source is not source
            source = note.span.source
            where = f", {f'{source.name} ' if moved else ''}line {note.span.line}"
        steps.append(note.text + where)
    return " -> ".join(steps)


def _last_line(span: Span) -> int:
    return span.source.position(max(span.start, span.end - 1))[0]


def _excerpt(span: Span, margin: int, role: str, paint: Paint) -> Iterator[str]:
    """The place, then the lines of the span; of more than three only the first and the last."""
    first, last = span.line, _last_line(span)
    numbers = list(range(first, last + 1)) if last - first < 3 else [first, 0, last]
    pad, bar = " " * margin, paint("|", "frame")
    yield f"{pad}{paint('-->', 'frame')} {shown_cell(str(span))}"
    yield f"{pad} {bar}"
    for number in numbers:
        if number == 0:
            yield paint("...", "frame")
            continue
        shown, carets = _marked(span, number)
        yield f"{paint(str(number).rjust(margin), 'frame')} {bar} {shown}".rstrip()
        yield f"{pad} {bar} {paint(carets, role)}"


def _marked(span: Span, number: int) -> tuple[str, str]:
    """One line as shown, and the carets below the part of it that the span covers."""
    line = span.source.line(number)
    start = span.column - 1 if number == span.line else len(line) - len(line.lstrip())
    end_line, end_column = span.source.position(span.end)
    end = end_column - 1 if number == end_line else len(line)
    end = min(end, len(line))
    cut = ""
    if len(line) > LONGEST_LINE:
        left = max(0, start - LEAD)
        line, start, end = line[left : left + LONGEST_LINE], start - left, end - left
        cut = "…" if left else ""
    cells = [_cell(character) for character in line]
    before = sum(_width(cell) for cell in cells[:start]) + len(cut)
    covered = sum(_width(cell) for cell in cells[start:end])
    return cut + "".join(cells), " " * before + "^" * max(covered, 1)


def _cell(character: str) -> str:
    """What stands for a character on a terminal: tabs become spaces, control codes a sign."""
    if character == "\t":
        return " " * TAB
    return SIGN if unicodedata.category(character) == "Cc" else character


def _width(cell: str) -> int:
    """Columns that a cell takes on a terminal (Unicode standard annex 11)."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) == "Cf"
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in cell
    )


def json(diagnostics: Iterable[Diagnostic]) -> str:
    """A list of objects; places are null where a diagnostic has none, ends are exclusive.

    A diagnostic without a place may have the file that it is about.
    """
    return json_format.dumps([_object(item) for item in diagnostics], indent=2)


def _object(item: Diagnostic) -> dict[str, Any]:
    return {
        "code": item.code,
        "severity": str(item.severity),
        "message": item.message,
        **_place(item.span, item.file),
        "hint": item.hint,
        "notes": [{"text": note.text, **_place(note.span)} for note in item.notes],
        "trail": [{"text": note.text, **_place(note.span)} for note in item.trail],
    }


def _place(span: Span | None, file: str | None = None) -> dict[str, Any]:
    if span is None:
        nowhere = dict.fromkeys(("line", "column", "end_line", "end_column"))
        return {"file": file, **nowhere}
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


def github(diagnostics: Iterable[Diagnostic]) -> str:
    """Workflow commands, one a line, that GitHub shows as annotations of a pull request."""
    return "\n".join(_command(item) for item in diagnostics)


def _command(item: Diagnostic) -> str:
    properties = {"file": item.file} if item.file else {}
    if item.span:
        place = _place(item.span)
        properties = {"file": place["file"], "line": place["line"], "col": place["column"]}
        if place["end_line"] == place["line"]:
            properties["endColumn"] = place["end_column"]
        else:
            properties["endLine"] = place["end_line"]
    properties["title"] = item.code
    listed = ",".join(f"{name}={_escape_property(str(v))}" for name, v in properties.items())
    message = [item.message, *(f"note: {note.text}" for note in item.notes)]
    message += [_trail(item)] if item.trail else []
    message += [f"hint: {item.hint}"] if item.hint else []
    return f"::{item.severity} {listed}::{_escape_data(chr(10).join(message))}"


def _escape_data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(value: str) -> str:
    return _escape_data(value).replace(":", "%3A").replace(",", "%2C")
