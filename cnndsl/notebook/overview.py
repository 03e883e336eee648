"""What a graph looks like: the table of its blocks and a picture."""

from __future__ import annotations

from cnndsl.analysis.summary import summary
from cnndsl.drawing.svg import svg
from cnndsl.ir.graph import Graph
from cnndsl.notebook.elements import lines, unfolds


def overview(graph: Graph) -> str:
    """The table of the blocks, and the graph, its blocks closed, behind its name."""
    picture = svg(graph, 1).decode().partition("?>")[2]
    return lines(summary(graph)) + unfolds(f"{graph.name} as a graph", picture)
