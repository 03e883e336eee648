"""The HTML that notebooks show: tables, bars, parts that unfold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

BAR = "#1976d2"
TALLEST = 420
"""Pixels of a table; a longer one scrolls."""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Collection[int],
    bars: Sequence[float] = (),
) -> str:
    """A table, columns with an index in `numbers` aligned to the right.

    `bars` are numbers from 0 on, one for each row, shown in a last column relative to the largest.
    """
    wide = [*head, ""] if bars else head
    lines = [_row("th", wide, numbers)]
    largest = max(bars, default=0) or 1
    for index, row in enumerate(rows):
        bar = _bar(bars[index] / largest) if bars else ""
        lines.append(_row("td", row, numbers, bar))
    return (
        f'<div style="max-height: {TALLEST}px; overflow: auto"><table>'
        f"<thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table></div>"
    )


def _row(tag: str, cells: Sequence[str], numbers: Collection[int], bar: str = "") -> str:
    made = [
        f'<{tag} style="text-align: {"right" if index in numbers else "left"}">'
        f"{escape(cell)}</{tag}>"
        for index, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(made)}{bar}</tr>"


def _bar(share: float) -> str:
    style = f"width: {160 * share:.0f}px; height: 0.8em; background: {BAR}"
    return f'<td style="text-align: left"><div aria-hidden="true" style="{style}"></div></td>'


def heading(text: str) -> str:
    """A line above what follows."""
    return f"<p><strong>{escape(text)}</strong></p>"


def note(text: str) -> str:
    """A line below what it is about; nothing for an empty one."""
    return f"<p>{escape(text)}</p>" if text else ""


def lines(text: str) -> str:
    """Text as it is, in columns."""
    return f"<pre>{escape(text)}</pre>"


def unfolds(title: str, content: str) -> str:
    """HTML that is shown when its title is clicked."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"
