"""The graph that a page shows: one whose nodes know their lines in a text."""

from __future__ import annotations

from cnndsl.decompile import decompile
from cnndsl.diagnostics import CnnError, Source
from cnndsl.ir.graph import Graph
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit


def graph_of_text(text: str, name: str) -> Graph:
    """The only network of a text that a program wrote. Raises CnnError with its errors."""
    unit = load_unit(Source(f"{name}.cnn", text))
    return elaborate(unit, choose_network(unit, None)).sound().graph


def with_text(graph: Graph) -> Graph:
    """The same network with a text, its blocks found again.

    That is the graph itself, without a text, if the language cannot say it.
    """
    try:
        return graph_of_text(decompile(graph, graph.name).text, graph.name)
    except (CnnError, ValueError):
        return graph
