"""Sequences of nodes laid out with their comments: above, beside or below a node."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cnndsl.diagnostics import Span
from cnndsl.format.layout import BLANK, HARD, Aside, Doc, Group, Hang, Indent, Line
from cnndsl.language import tree as ast

Node = TypeVar("Node", bound=ast.Tree)


@dataclass(frozen=True)
class Comment:
    """A comment on lines of its own, and whether a blank line comes before it."""

    text: str
    after_blank: bool


@dataclass(frozen=True)
class Entry:
    """A node of a sequence as a document, with the comments around it."""

    above: list[Comment]
    content: Doc
    beside: Doc
    starts_line: bool
    after_blank: bool


def comment_text(comment: Span) -> str:
    """A comment without the white space at its end."""
    return comment.source.text[comment.start : comment.end].rstrip()


class Comments:
    """The comments and line breaks of one file. Each comment is given out once."""

    def __init__(self, tree: ast.File):
        self._comments = tree.comments
        self._source = tree.source
        self._lines = tree.source.text.split("\n")
        self._starts = [comment.start for comment in tree.comments]
        self._taken: set[int] = set()

    def breaks(self, start: int, end: int) -> bool:
        """Whether the source breaks a line in the range."""
        return self._source.text.find("\n", start, end) >= 0

    def pending(self, start: int, end: int) -> list[int]:
        """The numbers of the comments in a range that were not given out yet."""
        found = range(bisect_left(self._starts, start), bisect_left(self._starts, end))
        return [number for number in found if number not in self._taken]

    def take(self, start: int, end: int) -> list[Comment]:
        """The comments in a range that were not given out yet."""
        found = self.pending(start, end)
        self._taken.update(found)
        return [
            Comment(comment_text(self._comments[n]), self._after_blank(self._starts[n]))
            for n in found
        ]

    def beside(self, start: int, end: int) -> Doc:
        """The comment on the line of `start`, if one begins before `end`."""
        stop = self._source.text.find("\n", start, end)
        found = self.take(start, stop if stop >= 0 else end)
        return Aside(f"  {found[0].text}") if found else ()

    def entries(
        self,
        nodes: Sequence[Node],
        show: Callable[[Node], Doc],
        start: int,
        end: int,
        inner: bool = True,
    ) -> tuple[list[Entry], list[Comment]]:
        """The nodes between two offsets, as `show` prints them, and the comments below the last.

        Comments inside a node that `show` did not take are put above it if `inner` is set.
        """
        entries = []
        limits = [*(node.span.start for node in nodes[1:]), end]
        for node, limit in zip(nodes, limits, strict=False):
            above = self.take(start, node.span.start)
            content = show(node)
            after_blank = self._after_blank(node.span.start)
            for comment in self.take(node.span.start, node.span.end) if inner else ():
                above.append(Comment(comment.text, after_blank))
                after_blank = False
            beside = self.beside(node.span.end, limit)
            starts_line = bool(above) or self.breaks(start, node.span.start)
            entries.append(Entry(above, content, beside, starts_line, after_blank))
            start = node.span.end
        return entries, self.take(start, end)

    def sequence(
        self, nodes: Sequence[Node], show: Callable[[Node], Doc], start: int, end: int
    ) -> Doc:
        """Items or statements, one a line, with the comments between the offsets; () if none."""
        entries, below = self.entries(nodes, show, start, end)
        lines: list[tuple[Doc, bool]] = []
        for entry in entries:
            lines += [(Aside(comment.text), comment.after_blank) for comment in entry.above]
            lines.append(((entry.content, entry.beside), entry.after_blank))
        lines += [(Aside(comment.text), comment.after_blank) for comment in below]
        parts: list[Doc] = []
        for line, after_blank in lines:
            parts += [BLANK if after_blank else HARD, line]
        return tuple(parts[1:])

    def listed(
        self,
        brackets: str,
        nodes: Sequence[Node],
        show: Callable[[Node], Doc],
        start: int,
        end: int,
        comma: bool = True,
    ) -> Doc:
        """Nodes in brackets; between `start` and `end` stand they and their comments alone."""
        entries, below = self.entries(nodes, show, start, end)
        if not entries and not below:
            return brackets
        before, behind = start, start
        if nodes:
            before, behind = nodes[-1].span.start, nodes[-1].span.end
        broken = self.breaks(start, before) or self.breaks(behind, end)
        broken = broken or any(entry.above for entry in entries)
        parts: list[Doc] = [brackets[0]]
        for entry in entries:
            first, last = entry is entries[0], entry is entries[-1]
            parts += [Indent((HARD, Aside(comment.text))) for comment in entry.above]
            gap = HARD if entry.starts_line else Line("" if first else " ")
            separator = "," if not last or (comma and broken) else ""
            item = (Indent(gap), entry.content, separator)
            parts += [item if first else Group(item), entry.beside]
        parts += [Indent((HARD, Aside(comment.text))) for comment in below]
        parts += [Line("", "," if comma and not broken else ""), brackets[1]]
        return Hang(Group(tuple(parts), broken))

    def _after_blank(self, offset: int) -> bool:
        line = self._source.position(offset)[0]
        return line > 1 and not self._lines[line - 2].strip()
