"""Parts of a graph that are taken out, or change places, as Veit et al. (2016) do to networks.

A part is a block, a round of a loop or labelled braces with its own path. It can be taken out if
one value comes in and one of the same type goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cnndsl.diagnostics import CnnError, Diagnostic, Span
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Add
from cnndsl.ir.types import TensorType


@dataclass(frozen=True)
class Part:
    """The nodes of a path, the one whose value comes in, and the one whose value goes out."""

    path: str
    nodes: frozenset[str]
    entry: str
    exit: str


def part_of(graph: Graph, path: str) -> Part:
    """A part with one value in and one out.

    Raises CnnError: E0622 if nothing has this path, E0623 if other values come in or go out.
    """
    names = _inside(graph, path)
    if not names:
        hint = did_you_mean(path, list(graph.scopes))
        raise CnnError.of("E0622", f"no part of the network is called {path!r}", hint=hint)
    entries, exits = _entries(graph, names), _exits(graph, names)
    for what, found in (("goes into", entries), ("comes out of", exits)):
        if len(found) != 1:
            shown = ", ".join(map(repr, found)) or "nothing"
            raise fail(graph, path, f"one value has to be what {what} {path}, this is {shown}")
    return Part(path, names, entries[0], exits[0])


def delete(graph: Graph, path: str) -> Graph:
    """A copy without a part: what came in goes on.

    Raises CnnError: E0622 and E0623 as `part_of`, E0623 if what goes out has another type.
    """
    part = part_of(graph, path)
    before, after = graph[part.entry].type, graph[part.exit].type
    if before != after:
        hint = "a part that changes the shape is needed; delete one that keeps it"
        raise fail(graph, path, f"{path} makes {after} of {before}: nothing can stand for it", hint)
    through = {part.exit: part.entry}
    result = _rewired(
        graph,
        lambda name, reader: name if reader in part.nodes else through.get(name, name),
        lambda name: through.get(name, name),
    )
    result.nx.remove_nodes_from(part.nodes)
    result.stages = [stage for stage in result.stages if stage[1] in result]
    result.scopes = {p: kind for p, kind in result.scopes.items() if not is_under(p, path)}
    result.arguments = {p: a for p, a in result.arguments.items() if not is_under(p, path)}
    return result


def swap(graph: Graph, first: str, second: str) -> Graph:
    """A copy in which two parts have changed places, with their names and weights.

    Raises CnnError: E0622 and E0623 as `part_of`, E0623 if they do not take and make the same types
    or are inside one another.
    """
    a, b = part_of(graph, first), part_of(graph, second)
    if a.nodes & b.nodes:
        raise fail(graph, first, f"{first} and {second} are parts of one another")
    if _types(graph, a) != _types(graph, b):
        shown = " and ".join("{} -> {}".format(*_types(graph, part)) for part in (a, b))
        raise fail(graph, first, f"{first} and {second} have other shapes: {shown}")
    places = {a.exit: b.exit, b.exit: a.exit}
    entries = dict.fromkeys(a.nodes, b.entry) | dict.fromkeys(b.nodes, a.entry)
    insides = dict.fromkeys(a.nodes, a.nodes) | dict.fromkeys(b.nodes, b.nodes)

    def source(producer: str, reader: str) -> str:
        if producer in insides.get(reader, ()):
            return producer
        place = entries.get(reader, producer)
        return places.get(place, place)

    return _rewired(graph, source, lambda name: places.get(name, name))


def units(graph: Graph) -> list[str]:
    """The paths of all residual units: the smallest parts around an addition that keep the type.

    An addition belongs to a unit if what comes in is added to what is made of it.
    """
    found: dict[str, None] = {}
    for node in graph.nodes():
        if not isinstance(node.op, Add):
            continue
        for path in _around(graph, node.name):
            try:
                part = part_of(graph, path)
            except CnnError:
                continue
            if graph[part.entry].type == graph[part.exit].type:
                found[path] = None
            break
    return [p for p in found if not any(q != p and is_under(q, p) for q in found)]


def _around(graph: Graph, name: str) -> Iterator[str]:
    """The paths of the parts around a node, the smallest first."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def is_under(name: str, path: str) -> bool:
    """Whether a name is that of a part, or of something in it."""
    return name == path or name.startswith(f"{path}.")


def _inside(graph: Graph, path: str) -> frozenset[str]:
    return frozenset(name for name in graph.nx if is_under(name, path))


def _entries(graph: Graph, names: frozenset[str]) -> list[str]:
    """The nodes outside that the part reads."""
    read = (x.name for name in names for x in graph.producers(graph[name]))
    return sorted({name for name in read if name not in names})


def _exits(graph: Graph, names: frozenset[str]) -> list[str]:
    """The nodes of the part that others read, or that are outputs."""
    return sorted(
        name
        for name in names
        if graph.output_names(graph[name])
        or any(reader.name not in names for reader, _ in graph.consumers(graph[name]))
    )


def _types(graph: Graph, part: Part) -> tuple[TensorType, TensorType]:
    return graph[part.entry].type, graph[part.exit].type


def _rewired(graph: Graph, source: Callable[[str, str], str], end: Callable[[str], str]) -> Graph:
    """A copy whose nodes read other nodes of the same types.

    `source` tells by the names of a producer and its reader what is read instead, `end` what makes
    an output or ends a stage instead.
    """
    result = graph.copy()
    for before, reader, index in graph.nx.edges(keys=True):
        after = source(before, reader)
        if after != before:
            result.nx.remove_edge(before, reader, key=index)
            result.nx.add_edge(after, reader, key=index)
    result.outputs = {name: end(node) for name, node in graph.outputs.items()}
    result.auxiliaries = {
        name: replace(auxiliary, node=end(auxiliary.node))
        for name, auxiliary in graph.auxiliaries.items()
    }
    result.stages = [(label, end(node)) for label, node in graph.stages]
    return result


def fail(graph: Graph, path: str, message: str, hint: str | None = None) -> CnnError:
    """The error (E0623) that a part cannot be edited so."""
    spans = (span for name in _inside(graph, path) for span in graph[name].spans)
    first: Span | None = min(spans, key=lambda span: (span.source.name, span.start), default=None)
    return CnnError([Diagnostic("E0623", message, first, hint)])
