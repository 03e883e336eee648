"""Tables as text, for a pipe as wide as they are, for a terminal as wide as that."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, zip_longest

from cnndsl.diagnostics.signs import shown_cell

GAP = "  "
NARROWEST = 12
"""Columns of a terminal that a column of words keeps."""
COMFORTABLE = 30
"""Columns of a terminal that are enough for a column that can be left out."""
SHAPE = re.compile("[0-9x]*")
"""What is never cut although it is aligned like words."""


def table_lines(
    rows: Sequence[Sequence[str]], numbers: Collection[int], width: int | None
) -> Iterator[str]:
    """Aligned columns; those with an index in `numbers` are aligned to the right.

    Where a width is given, the others are made narrower for it, and their cells wrapped between
    words; a word that is too long ends in an ellipsis. Control codes become signs.
    """
    rows = [[shown_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        words = [
            index
            for index in range(len(widths))
            if index not in numbers and not all(SHAPE.fullmatch(row[index]) for row in rows[1:])
        ]
        _narrow(widths, words, width - len(GAP) * (len(widths) - 1))
    for row in rows:
        wrapped = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            cells = [
                part.rjust(width) if index in numbers else part.ljust(width)
                for index, (part, width) in enumerate(zip(parts, widths, strict=True))
            ]
            yield GAP.join(cells).rstrip()


def columns_that_fit(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many columns, the first one at least, a terminal has room for with hardly a word cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = accumulate(min(each, COMFORTABLE) + len(GAP) for each in widths)
    return max(1, sum(end <= width + len(GAP) for end in ends))


def _narrow(widths: list[int], words: Sequence[int], total: int) -> None:
    """Take from the widest of the columns of words until the sum is no more than the total."""
    while sum(widths) > total and words:
        widest = max(words, key=lambda index: widths[index])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1


def _wrapped(cell: str, width: int) -> list[str]:
    """The lines of a cell, those after the first indented."""
    if len(cell) <= width:
        return [cell]
    lines = textwrap.wrap(
        cell, width, subsequent_indent=GAP, break_on_hyphens=False, break_long_words=False
    )
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
