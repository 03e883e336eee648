"""A graph to a text, which is elaborated and compared with the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from cnndsl.decompile.compress import ORDERS, compress, length
from cnndsl.decompile.defaults import set_defaults
from cnndsl.decompile.names import give_names, name_outputs
from cnndsl.decompile.normalise import normalised
from cnndsl.decompile.parameters import simplify
from cnndsl.decompile.program import Program, copied
from cnndsl.decompile.series import chained
from cnndsl.decompile.shortcuts import unite_shortcuts
from cnndsl.decompile.spell import text_of
from cnndsl.decompile.verify import matched
from cnndsl.diagnostics import CnnError, Source
from cnndsl.ir.graph import Graph
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit

LARGE = 1000
"""Nodes from which on the shortest program alone is tried."""

Checked: TypeAlias = tuple[str, dict[str, str]]
"""A text, and the names of the nodes in it."""


@dataclass(frozen=True)
class Decompiled:
    """A text, and for each node of the graph the name that it has in the network of the text."""

    text: str
    names: Mapping[str, str]


def decompile(graph: Graph, name: str) -> Decompiled:
    """The text of a network `name` that makes the graph.

    Nodes that only pass a value on are named like that which they pass on. Raises ValueError for a
    graph with operators that the language has not, such as fused ones, and CnnError where it is
    beyond the limits of the language.
    """
    small, where = normalised(graph)
    small.name = name
    name_outputs(small)
    text, names = _shortest(small) or _plain(small)
    return Decompiled(text, {node: names[place] for node, place in where.items()})


def _shortest(graph: Graph) -> Checked | None:
    """The text with the fewest words of those that make the graph."""
    programs = []
    start = chained(graph)
    set_defaults(start)
    for unite in (False, True):
        if unite and not unite_shortcuts(start):
            break
        for order in ORDERS:
            program = replace(start, body=copied(start.body, {}), blocks=[])
            compress(program, order)
            programs.append((length(program), program))
    programs.sort(key=lambda pair: pair[0])
    tried = programs if len(graph) < LARGE else programs[:1]
    found = [result for _, p in tried if (result := _simplified(p, graph)) is not None]
    return min(found, key=lambda result: result[0])[1] if found else None


def _simplified(program: Program, graph: Graph) -> tuple[int, Checked] | None:
    """The text of a program with few parameters, and its words; None if it makes another graph."""
    words = length(program)
    try:
        text = _text(program)
        made = made_of(text, program.name)
        names = matched(graph, made)
        if names is None:
            return None
        simplify(program, made)
        shorter = _text(program)
        better = matched(graph, made_of(shorter, program.name))
    except CnnError:
        return None
    return (words, (text, names)) if better is None else (length(program), (shorter, better))


def _plain(graph: Graph) -> Checked:
    """A text without blocks and loops, and without joins inside joins if need be."""
    for flat in (False, True):
        program = chained(graph, flat=flat)
        text = _text(program)
        names = matched(graph, made_of(text, program.name))
        if names is not None:
            return text, names
    raise AssertionError("the text makes another graph")


def _text(program: Program) -> str:
    give_names(program)
    return text_of(program)


def made_of(text: str, name: str) -> Graph:
    """The graph of the only network of a text. Raises CnnError with its errors."""
    unit = load_unit(Source(f"{name}.cnn", text))
    return elaborate(unit, choose_network(unit, None)).sound().graph
