"""Documents that know where they may break, and the choice of breaks that fits a page.

The documents are Wadler's ("A prettier printer", 2003), the choice is greedy as in Oppen's
"Prettyprinting" (1980): a group is printed flat when it fits its line, else all its lines break.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

STEP = 4
"""Columns of one level of indentation."""


@dataclass(frozen=True)
class Line:
    """A possible line break: `flat` (None: breaks everywhere), or `broken` and a new line."""

    flat: str | None = " "
    broken: str = ""
    blank: bool = False


@dataclass(frozen=True)
class Aside:
    """Text that may stand beyond the margin: a comment. A line break must follow it."""

    text: str


@dataclass(frozen=True)
class Group:
    """Lines that break together: when `broken` is set, or when they do not fit flat."""

    content: Doc
    broken: bool = False


@dataclass(frozen=True)
class Indent:
    """The new lines of the content stand one level deeper."""

    content: Doc


@dataclass(frozen=True)
class Align:
    """The new lines of the content stand at the column where it starts."""

    content: Doc


@dataclass(frozen=True)
class Hang:
    """The new lines of the content stand no less deep than the line on which it starts."""

    content: Doc


Doc: TypeAlias = "str | Line | Aside | Group | Indent | Align | Hang | tuple[Doc, ...]"

HARD = Line(flat=None)
BLANK = Line(flat=None, blank=True)


def render(document: Doc, width: int) -> str:
    """The document as text, with lines of at most `width` columns where its breaks allow that."""
    output: list[str] = []
    column = line_indent = 0
    stack: list[tuple[int, bool, Doc]] = [(0, True, document)]
    while stack:
        indent, broken, doc = stack.pop()
        match doc:
            case str():
                output.append(doc)
                column += len(doc)
            case tuple():
                stack.extend((indent, broken, part) for part in reversed(doc))
            case Aside():
                output.append(doc.text)
            case Line() if doc.flat is not None and not broken:
                output.append(doc.flat)
                column += len(doc.flat)
            case Line():
                output.append(doc.broken + "\n" * (1 + doc.blank) + " " * indent)
                column = line_indent = indent
            case Group():
                flat = not doc.broken and _fits(doc.content, stack, width - column)
                stack.append((indent, not flat, doc.content))
            case Indent():
                stack.append((indent + STEP, broken, doc.content))
            case Align():
                stack.append((column, broken, doc.content))
            case Hang():
                stack.append((max(indent, line_indent), broken, doc.content))
    return "".join(output)


def _fits(content: Doc, following: list[tuple[int, bool, Doc]], room: int) -> bool:
    """Whether the content, flat, and what follows it up to the next possible break have room."""
    stack: list[tuple[bool, Doc]] = [(False, content)]
    depth = len(following)
    while room >= 0:
        if not stack:
            if depth == 0:
                return True
            depth -= 1
            stack.append(following[depth][1:])
        broken, doc = stack.pop()
        match doc:
            case str():
                room -= len(doc)
            case tuple():
                stack.extend((broken, part) for part in reversed(doc))
            case Aside():
                pass
            case Line() if doc.flat is not None and not broken:
                room -= len(doc.flat)
            case Line():
                return room >= len(doc.broken)
            case Group():
                stack.append((broken or doc.broken, doc.content))
            case Indent() | Align() | Hang():
                stack.append((broken, doc.content))
    return False
