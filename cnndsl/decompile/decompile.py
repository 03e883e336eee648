"""A graph to a text, which is elaborated and compared with the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.decompile.names import give_names, name_outputs
from cnndsl.decompile.normalise import normalised
from cnndsl.decompile.program import Program
from cnndsl.decompile.series import chained
from cnndsl.decompile.spell import text_of
from cnndsl.decompile.verify import matched
from cnndsl.diagnostics import Source
from cnndsl.ir.graph import Graph
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit


@dataclass(frozen=True)
class Decompiled:
    """A text, and for each node of the graph the name that it has in the network of the text."""

    text: str
    names: Mapping[str, str]


def decompile(graph: Graph, name: str, scopes: Mapping[str, str] | None = None) -> Decompiled:
    """The text of a network `name` that makes the graph.

    `scopes` gives dotted paths of modules for nodes, as exporters leave them. Nodes that only pass
    a value on are named like that which they pass on. Raises ValueError for a graph with operators
    that the language has not, such as fused ones, and CnnError where it is beyond the limits of
    the language.
    """
    small, where = normalised(graph)
    small.name = name
    name_outputs(small)
    program = chained(small)
    result = _checked(program, small)
    if result is None:
        result = _checked(chained(small, flat=True), small)
    assert result is not None, "the text makes another graph"
    text, names = result
    return Decompiled(text, {node: names[place] for node, place in where.items()})


def _checked(program: Program, graph: Graph) -> tuple[str, dict[str, str]] | None:
    """The text of a program and the names in it, or None if it does not make the graph."""
    give_names(program)
    text = text_of(program)
    unit = load_unit(Source(f"{program.name}.cnn", text))
    made = elaborate(unit, choose_network(unit, program.name)).sound().graph
    names = matched(graph, made)
    return None if names is None else (text, names)
