"""The graph that a page shows: one whose nodes know their lines in a text."""

from __future__ import annotations

from cnndsl.decompile import decompile
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph


def with_text(graph: Graph) -> Graph:
    """The same network with a text, its blocks found again.

    That is the graph itself, without a text, if the language cannot say it.
    """
    try:
        return decompile(graph, graph.name).graph
    except (CnnError, ValueError):
        return graph
