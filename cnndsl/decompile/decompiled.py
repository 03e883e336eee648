"""A graph to a text, which is elaborated and compared with the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cnndsl.decompile.branches import unite_branches
from cnndsl.decompile.compress import ORDERS, compress, length
from cnndsl.decompile.defaults import set_defaults
from cnndsl.decompile.lets import keep_results
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
from cnndsl.language import limits
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit

LARGE = 1000
"""Nodes from which on the shortest program alone is tried."""


@dataclass(frozen=True, eq=False)
class Decompiled:
    """A text, the graph that it makes, and the name in this of each node of the graph that was."""

    text: str
    graph: Graph
    names: Mapping[str, str]


def decompile(graph: Graph, name: str, *, nest: bool = True) -> Decompiled:
    """The text of a network `name` that makes the graph.

    Concatenations become operands of others unless they are not to `nest`. Nodes that only pass a
    value on are named like that which they pass on. Raises ValueError for a graph with operators
    that the language has not, such as fused ones, and CnnError where it is beyond the limits of the
    language.
    """
    if len(graph) > limits.NODES:
        message = f"the network has {len(graph):,} operators, more than {limits.NODES:,}"
        raise CnnError.of("E0503", message)
    small, where = normalised(graph, nest=nest)
    small.name = name
    name_outputs(small)
    found = _shortest(small) or _plain(small)
    return replace(found, names={node: found.names[place] for node, place in where.items()})


def _shortest(graph: Graph) -> Decompiled | None:
    """The text with the fewest words of those that make the graph."""
    programs = []
    for start in _starts(graph):
        for order in ORDERS:
            program = _copy(start)
            compress(program, order)
            words = length(program)
            keep_results(program)
            programs.append((words, program))
    programs.sort(key=lambda pair: pair[0])
    tried = programs if len(graph) < LARGE else programs[:1]
    found = [result for _, p in tried if (result := _simplified(p, graph)) is not None]
    return min(found, key=lambda result: result[0])[1] if found else None


def _starts(graph: Graph) -> Iterator[Program]:
    """The network as a chain, with and without what may make it shorter."""
    start = chained(graph)
    set_defaults(start)
    looped = _copy(start)
    starts = [start, looped] if unite_branches(looped) else [start]
    for program in starts:
        yield program
        united = _copy(program)
        if unite_shortcuts(united):
            yield united


def _copy(program: Program) -> Program:
    return replace(program, body=copied(program.body, {}), blocks=[])


def _simplified(program: Program, graph: Graph) -> tuple[int, Decompiled] | None:
    """The text of a program with few parameters, and its words; None if it makes another graph."""
    words = length(program)
    try:
        found = _checked(program, graph)
        if found is None:
            return None
        simplify(program, found.graph)
        better = _checked(program, graph, found)
    except CnnError:
        return None
    return (words, found) if better is None else (length(program), better)


def _plain(graph: Graph) -> Decompiled:
    """A text without blocks and loops, and without joins inside joins if need be."""
    for flat in (False, True):
        found = _checked(chained(graph, flat=flat), graph)
        if found is not None:
            return found
    raise AssertionError("the text makes another graph")


def _checked(program: Program, graph: Graph, known: Decompiled | None = None) -> Decompiled | None:
    """The text of a program if it makes the graph; what is known already may be the same text.

    Raises CnnError.
    """
    give_names(program)
    text = text_of(program)
    if known is not None and text == known.text:
        return known
    made = made_of(text, program.name)
    names = matched(graph, made)
    return None if names is None else Decompiled(text, made, names)


def made_of(text: str, name: str) -> Graph:
    """The graph of the only network of a text. Raises CnnError with its errors."""
    unit = load_unit(Source(f"{name}.cnn", text))
    return elaborate(unit, choose_network(unit, None)).sound().graph
