"""The table of the layers as plain text, Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import fields
from io import StringIO
from itertools import groupby

from rich.table import Table
from rich.text import Text

from cnndsl.analysis.layers import Layer, layers, whole_network
from cnndsl.analysis.summary import plain, short, table_of, word
from cnndsl.diagnostics.units import exact
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import TensorType

Cell = str | int | float | None
COLUMNS = [{"name": "layer", "macs": "MACs"}.get(f.name, f.name) for f in fields(Layer)]
NAMES = {"layer", "block", "kind", "activation"}
"""The columns of words; the others are aligned to the right."""

TIMES = "×"
"""Between sizes that are for LaTeX; the other forms have an x."""

LATEX = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", TIMES: r"$\times$",
}  # fmt: skip


def layer_table(graph: Graph) -> Table:
    """For `cnndsl.analysis.summary.print_parts`."""
    return with_total(_shown(graph))


def with_total(rows: Sequence[Sequence[str]]) -> Table:
    """The same of rows, the head first and the total last."""
    head, *others = rows
    table = table_of(*head)
    for column in table.columns:
        column.justify = "left" if column.header in NAMES else "right"
    for name, kind, *numbers in others:
        table.add_row(word(name), word(kind), *map(Text, numbers))
    table.rows[-1].style = "bold"
    return table


def as_text(graph: Graph) -> str:
    """Aligned columns."""
    return plain([layer_table(graph)]) + "\n"


def as_markdown(graph: Graph) -> str:
    """A table of GitHub Flavored Markdown."""
    return markdown(_shown(graph))


def as_csv(graph: Graph) -> str:
    """All columns, numbers without separators of thousands; empty cells where there is nothing."""
    return separated([COLUMNS, *_cells(graph)])


def as_latex(graph: Graph) -> str:
    """A tabular that needs no package."""
    return latex(_shown(graph, TIMES), has_total=True)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the head first, as a table of GitHub Flavored Markdown."""
    head, *others = rows
    rule = ["---" if column in NAMES else "--:" for column in head]
    escaped = [[re.sub(r"([\\`*_\[\]<>|~&#])", r"\\\1", cell) for cell in row] for row in others]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *escaped))


def separated(rows: Sequence[Sequence[Cell]]) -> str:
    """Rows with commas; None is an empty cell."""
    text = StringIO()
    cells = [["" if cell is None else cell for cell in row] for row in rows]
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue()


def latex(rows: Sequence[Sequence[str]], *, has_total: bool = False) -> str:
    """Rows, the head first, as a tabular; with a line before the total."""
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
    align = "".join("l" if column in NAMES else "r" for column in rows[0])
    body = [lines[0], r"\hline", *lines[1:]]
    if has_total:
        body.insert(-1, r"\hline")
    return "\n".join([rf"\begin{{tabular}}{{{align}}}", *body, r"\end{tabular}"]) + "\n"


FORMS = {"text": as_text, "markdown": as_markdown, "csv": as_csv, "latex": as_latex}


def _latex(cell: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in cell)


def _shown(graph: Graph, times: str = "x") -> list[list[str]]:
    """The head and all rows for people; without columns in which nothing stands."""
    rows = [list(map(_for_people, COLUMNS, row)) for row in _cells(graph, times)]
    columns = [column for column in zip(COLUMNS, *rows, strict=True) if any(column[1:])]
    return [list(row) for row in zip(*columns, strict=True)]


def _for_people(column: str, cell: Cell) -> str:
    if cell in (None, 0) or (column in ("dilation", "groups") and cell in (1, "1")):
        return ""
    return exact(cell) if isinstance(cell, int) else str(cell)


def _cells(graph: Graph, times: str = "x") -> list[list[Cell]]:
    """All rows, the total last."""
    return [_row(layer, times) for layer in (*layers(graph), whole_network(graph))]


def _row(layer: Layer, times: str) -> list[Cell]:
    pads = [a if a == b else f"({a}+{b})" for a, b in layer.padding or ()]
    return [
        *(layer.name, layer.kind, times.join(map(str, layer.kernel or ())) or None, layer.filters),
        *(axes(sizes, times) for sizes in (layer.stride, pads, layer.dilation)),
        *(layer.groups, layer.activation),
        *(types(kinds, times) for kinds in (layer.inputs, layer.outputs)),
        *(layer.weights, layer.biases, "?" if layer.macs is None else layer.macs),
    ]


def axes(sizes: Sequence[int | str] | None, times: str) -> str | None:
    """`2`, or `2x1` if the axes differ."""
    return short(list(map(str, sizes)), times) if sizes else None


def types(types: Sequence[TensorType], times: str) -> str:
    """`64x28x28, 2 of 32x28x28`."""
    written = (kind.written(times) for kind in types)
    counted = [(text, len(list(same))) for text, same in groupby(written)]
    return ", ".join(text if count == 1 else f"{count} of {text}" for text, count in counted)
