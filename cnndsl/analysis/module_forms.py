"""The table of the blocks as plain text, Markdown, CSV and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import groupby

from rich.table import Table

from cnndsl.analysis.layer_forms import (
    TIMES,
    Cell,
    axes,
    latex,
    markdown,
    separated,
    types,
    with_total,
)
from cnndsl.analysis.modules import Module, modules, whole
from cnndsl.analysis.summary import plain
from cnndsl.diagnostics.units import exact
from cnndsl.ir.graph import Graph


def module_table(graph: Graph, depth: int = 1) -> Table:
    """For `cnndsl.analysis.summary.print_parts`."""
    return with_total(_shown(graph, depth))


def as_text(graph: Graph, depth: int = 1) -> str:
    """Aligned columns."""
    return plain([module_table(graph, depth)]) + "\n"


def as_markdown(graph: Graph, depth: int = 1) -> str:
    """A table of GitHub Flavored Markdown."""
    return markdown(_shown(graph, depth))


def as_csv(graph: Graph, depth: int = 1) -> str:
    """Numbers without separators of thousands; empty cells where there is nothing."""
    return separated(_cells(graph, depth))


def as_latex(graph: Graph, depth: int = 1) -> str:
    """A tabular that needs no package."""
    return latex(_shown(graph, depth, TIMES), has_total=True)


FORMS = {"text": as_text, "markdown": as_markdown, "csv": as_csv, "latex": as_latex}


def _shown(graph: Graph, depth: int, times: str = "x") -> list[list[str]]:
    """All rows for people; without columns in which nothing stands."""
    head, *rows = _cells(graph, depth, times)
    shown = [[exact(cell) if isinstance(cell, int) else cell or "" for cell in row] for row in rows]
    columns = [column for column in zip(head, *shown, strict=True) if any(column[1:])]
    return [list(map(str, row)) for row in zip(*columns, strict=True)]


def _cells(graph: Graph, depth: int, times: str = "x") -> list[list[Cell]]:
    """The head and all rows, the total last."""
    rows = modules(graph, depth)
    columns = sorted({column for row in rows for column in row.filters}, key=_place)
    names = [re.sub(r"(?<=\d)x(?=\d)", times, column) for column in columns]
    head: list[Cell] = [
        *("block", "kind", "kernel", "stride", "outputs", "depth", *names, "params", "MACs")
    ]
    return [head, *(_row(row, columns, times) for row in (*rows, whole(graph, rows)))]


def _place(column: str) -> tuple[float, int, str]:
    """Small kernels come first, in front of each what reduces for it; then what has no kernel."""
    sizes = [int(size) for size in re.findall(r"\d+", column)]
    return math.prod(sizes) if sizes else math.inf, -len(column), column


def _row(row: Module, columns: Sequence[str], times: str) -> list[Cell]:
    return [
        *(row.name, row.kind or None, times.join(map(str, row.kernel or ())) or None),
        *(axes(row.stride, times), types(row.outputs, times), row.depth or None),
        *(_filters(row.filters.get(column, [])) for column in columns),
        *(row.params or None, "?" if row.macs is None else row.macs or None),
    ]


def _filters(numbers: Sequence[int]) -> Cell:
    """`3 of 64, 128`."""
    if len(numbers) == 1:
        return numbers[0]
    counted = [(number, len(list(same))) for number, same in groupby(numbers)]
    return ", ".join(str(n) if count == 1 else f"{count} of {n}" for n, count in counted) or None
