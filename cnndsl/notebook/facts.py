"""What a compiled module is, as rows of names and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.diagnostics.table import table_lines
from cnndsl.diagnostics.units import si
from cnndsl.ir.graph import Graph
from cnndsl.notebook.elements import heading, table
from cnndsl.notebook.overview import overview


def fact_rows(
    metadata: Mapping[str, str], facts: Mapping[str, int | str], ports: Mapping[str, str]
) -> list[list[str]]:
    """Metadata by name, facts, bytes among them with their unit, and ports with their shapes."""
    rows = [[key, value] for key, value in sorted(metadata.items())]
    for name, fact in facts.items():
        if isinstance(fact, int) and name.endswith("_bytes"):
            rows.append([name.removesuffix("_bytes"), si(fact, "B")])
        else:
            rows.append([name, str(fact)])
    return rows + [[name, shape] for name, shape in ports.items()]


def facts_html(title: str, rows: Sequence[Sequence[str]], graph: Graph | None) -> str:
    """The rows as a table, with the blocks and the picture of the graph, if it is known."""
    return heading(title) + table(["", ""], rows, ()) + (overview(graph) if graph else "")


def facts_text(title: str, rows: Sequence[Sequence[str]], graph: Graph | None) -> str:
    """The same as lines."""
    from cnndsl.analysis.summary import summary

    lines = [title, *table_lines(rows, (), None)]
    return "\n".join([*lines, *(["", summary(graph)] if graph else [])])
