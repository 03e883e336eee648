"""The layers of a network in the order in which they run, and what two pairings compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.ir.expressions import Apply, Expression, Parameter, parameters_of
from cnndsl.ir.graph import Graph
from cnndsl.weights.conversion.layers import Layer

COMMUTATIVE = frozenset({"add", "average", "max", "min", "mul"})


@dataclass(frozen=True)
class Execution:
    """Layers in an order of execution; bit j of `after[i]`: the j-th reads what the i-th makes."""

    layers: Sequence[Layer]
    after: Sequence[int]


def executions(graph: Graph, layers: Sequence[Layer]) -> Iterator[Execution]:
    """The orders in which parallel branches may be listed: as written, long first, short first.

    The layers come as written.
    """
    users = _users(graph)
    reach = _reach(graph, {layer.name: users[layer.name] for layer in layers})
    written = list(range(len(layers)))
    seen = []
    for order in (written, *_by_depth(graph, layers, users)):
        if order in seen:
            continue
        seen.append(order)
        place = {index: position for position, index in enumerate(order)}
        after = [
            sum(1 << place[other] for other in written if reach[index] >> other & 1)
            for index in order
        ]
        yield Execution([layers[index] for index in order], after)


def by_operands(graph: Graph, layers: Sequence[Layer]) -> list[int]:
    """The places of layers in a walk from the outputs back, the first operand of a join first.

    So layers of one sequence have the order in which their results are joined, if they are.
    """
    users, place = _users(graph), dict[str, int]()
    stack = [node for node in graph.nodes() if not graph.consumers(node)][::-1]
    while stack:
        node = stack.pop()
        if node.name not in place:
            place[node.name] = len(place)
            stack += reversed(graph.producers(node))
    return [place[users[layer.name][0]] for layer in layers]


def _users(graph: Graph) -> dict[str, list[str]]:
    """By layer the nodes that read its parameters."""
    found: dict[str, list[str]] = {}
    for node in graph.nodes():
        names = {p.name.rpartition(".")[0] for e in node.expressions() for p in parameters_of(e)}
        for name in names:
            found.setdefault(name, []).append(node.name)
    return found


def _reach(graph: Graph, users: Mapping[str, Sequence[str]]) -> list[int]:
    """For each layer the bits of the layers that read what its first user makes."""
    own: dict[str, int] = {}
    for index, nodes in enumerate(users.values()):
        own[nodes[0]] = own.get(nodes[0], 0) | 1 << index
    below: dict[str, int] = {}
    for node in reversed(list(graph.nodes())):
        bits = 0
        for consumer, _ in graph.consumers(node):
            bits |= below[consumer.name] | own.get(consumer.name, 0)
        below[node.name] = bits
    return [below[nodes[0]] for nodes in users.values()]


def _by_depth(
    graph: Graph, layers: Sequence[Layer], users: Mapping[str, Sequence[str]]
) -> Iterator[list[int]]:
    """Layers in the order of a walk that takes the longest operand first, or the shortest."""
    depth: dict[str, int] = {}
    for node in graph.nodes():
        operands = [depth[producer.name] for producer in graph.producers(node)]
        depth[node.name] = max(operands, default=0) + 1
    for sign in (-1, 1):
        place = {name: index for index, name in enumerate(_walk(graph, depth, sign))}
        firsts = [place.get(users[layer.name][0], len(place)) for layer in layers]
        yield sorted(range(len(layers)), key=firsts.__getitem__)


def _walk(graph: Graph, depth: Mapping[str, int], sign: int) -> Iterator[str]:
    done: set[str] = set()
    stack = [(node, False) for node in graph.nodes() if not graph.consumers(node)][::-1]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            yield node.name
        elif node.name not in done:
            done.add(node.name)
            operands = sorted(graph.producers(node), key=lambda n: sign * depth[n.name])
            stack.append((node, True))
            stack += [(operand, False) for operand in reversed(operands)]


class Meanings:
    """What the outputs of a network compute, for layers that are given from a file.

    Pairings with equal meanings give equal outputs: the order of operands that commute is left out.
    """

    def __init__(self, graph: Graph):
        nodes = list(graph.nodes())
        place = {node.name: index for index, node in enumerate(nodes)}
        self._nodes = [
            (
                repr(node.op) if node.operands else node.name,
                node.op.name in COMMUTATIVE,
                tuple(sorted(node.params.items())),
                [place[producer.name] for producer in graph.producers(node)],
            )
            for node in nodes
        ]
        self._outputs = [i for i, node in enumerate(nodes) if not graph.consumers(node)]
        self._terms: dict[Any, int] = {}

    def of(self, sources: Mapping[str, str]) -> tuple[int, ...]:
        """The meaning with the layers named by their sources, comparable with others of this."""
        found: list[int] = []
        for label, commutes, params, producers in self._nodes:
            operands = [found[producer] for producer in producers]
            if commutes:
                operands.sort()
            weights = tuple((role, _sourced(e, sources)) for role, e in params)
            key = (label, weights, tuple(operands))
            found.append(self._terms.setdefault(key, len(self._terms)))
        return tuple(found[output] for output in self._outputs)


def _sourced(e: Expression, sources: Mapping[str, str]) -> object:
    if isinstance(e, Parameter):
        layer, _, role = e.name.rpartition(".")
        return sources.get(layer, layer), role
    if isinstance(e, Apply):
        return e.function, e.settings, tuple(_sourced(a, sources) for a in e.arguments)
    return e
