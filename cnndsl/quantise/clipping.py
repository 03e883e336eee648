"""Ranges of codes by what the outputs of a network lose, tensor by tensor.

The least squared error of a tensor itself is no good guide where a few values are much larger than
all others: codes that clip them are finer for the rest, and what layers behind make of the large
ones may be clamped anyway. So each tensor alone is rounded to codes of several ranges, and what is
behind it is computed in float32.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Input
from cnndsl.ir.quantisation import Quantisation
from cnndsl.ir.types import TensorType
from cnndsl.passes.logits import with_logits
from cnndsl.quantise.scales import is_moved, union
from cnndsl.runtime.backend import backend
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import Progress

SHARES = (0.85, 0.7, 0.5, 0.35, 0.25)
"""Shares of the range at first that are tried, one after another."""
PIECES = 16
"""Parts of the graph between cuts, at most."""
HOPELESS = 1.5
"""How many times the least loss so far ends the search."""


def clipped(
    graph: Graph,
    values: Mapping[str, Array],
    found: Mapping[str, Quantisation],
    results: Mapping[str, Array],
    progress: Progress,
) -> dict[str, Quantisation]:
    """Quantisations of the nodes of a prepared graph, of narrower ranges where that loses less.

    `values` are the parameters by name, `results` those of all nodes for a few samples. What is
    only moved gets the range of its operands. The loss is the squared error of the outputs, before
    a last softmax, as a share of their squares.
    """
    losses = _Losses(with_logits(graph), values, results)
    nodes = list(graph.nodes())
    searched = [node.name for node in nodes if not is_moved(node) and losses.know(node.name)]
    chosen = dict(found)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        best = pool.map(lambda name: _best(losses, name, found[name]), searched)
        for done, (name, codes) in enumerate(zip(searched, best, strict=True)):
            progress("clipping", done, len(searched))
            chosen[name] = codes
    for node in filter(is_moved, nodes):
        chosen[node.name] = reduce(union, (chosen[x.name] for x in graph.producers(node)))
    return chosen


def _best(losses: _Losses, name: str, first: Quantisation) -> Quantisation:
    """Of the quantisation at first and those of shares of its range."""
    pieces = losses.behind(name)
    best, least = first, losses.of(name, first, pieces)
    for share in SHARES if pieces else ():
        codes = Quantisation(first.scale * share, first.zero)
        lost = losses.of(name, codes, pieces)
        if lost < least:
            best, least = codes, lost
        elif lost > HOPELESS * least:
            break
    return best


@dataclass(frozen=True)
class _Piece:
    """What follows from a node's result, up to node `end`, through which all behind passes.

    Without an end it goes on to the outputs. The module is given that result and the exact ones of
    `given`; it gives those of `outputs` of the graph, and of the end.
    """

    module: Module
    given: tuple[str, ...]
    outputs: tuple[str, ...]
    end: str | None


class _Losses:
    """What the outputs of a graph lose if the result of one node is rounded to codes.

    The graph is cut where a single tensor passes: what is compiled for a node ends at the next cut,
    and what is between two cuts is compiled once. All runs on one core: others do the same for
    other nodes.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Array], results: Mapping[str, Array]):
        self._graph, self._values, self._results = graph, values, results
        self._cuts = _cuts(graph)
        found = {name: self._piece(name) for name in self._cuts}
        self._between = {name: piece for name, piece in found.items() if piece}

    def know(self, name: str) -> bool:
        """Whether it is a node of the graph whose result is not zero alone."""
        return name in self._graph and bool(self._results[name].any())

    def behind(self, name: str) -> list[_Piece]:
        """All that follows from the result of a node; nothing if no output does."""
        piece = self._between.get(name) or self._piece(name)
        found = []
        while piece:
            found.append(piece)
            piece = self._between.get(piece.end) if piece.end else None
        return found

    def of(self, name: str, codes: Quantisation, pieces: Sequence[_Piece]) -> float:
        """The squared errors of the outputs as shares of their squares."""
        made = {name: codes.decode(codes.encode(self._results[name]))}
        total, place = 0.0, name
        for piece in pieces:
            exact = {given: self._results[given] for given in piece.given}
            made = piece.module.run({**exact, place: made[place]})
            for output in piece.outputs:
                wanted = self._results[output]
                total += float(((made[output] - wanted) ** 2).sum() / max((wanted**2).sum(), 1e-30))
            place = piece.end or ""
        return total

    def _piece(self, name: str) -> _Piece | None:
        piece, end = _behind(self._graph, name, self._cuts)
        if not piece.outputs:
            return None
        given = tuple(other for other in piece.inputs if other != name)
        made = dict.fromkeys(self._graph.outputs.values())
        outputs = tuple(other for other in made if other in piece.outputs)
        target = backend("onnx")
        options = target.options(threads=1, metadata={"network": self._graph.name})
        return _Piece(target.compile(piece, self._values, options), given, outputs, end)


def _cuts(graph: Graph) -> frozenset[str]:
    """Some of the nodes whose result alone is read by what comes later, at most PIECES."""
    order = [node.name for node in graph.nodes()]
    index = {name: place for place, name in enumerate(order)}
    last = {
        name: max((index[reader.name] for reader, _ in graph.consumers(graph[name])), default=-1)
        for name in order
    }
    found: list[str] = []
    alive: set[str] = set()
    since = 0
    for place, name in enumerate(order):
        alive = {other for other in alive | {name} if last[other] > place}
        if alive == {name} and place - since >= len(order) / PIECES:
            found.append(name)
            since = place
    return frozenset(found)


def _behind(graph: Graph, name: str, cuts: Collection[str]) -> tuple[Graph, str | None]:
    """What follows from the result of a node, which is an input, as all others that it reads.

    It ends at the next cut, if there is one; its outputs are this one and those of the graph.
    """
    result = Graph(graph.name)
    reached = {name}
    end = None
    for node in graph.nodes():
        operands = graph.producers(node)
        if not reached & {x.name for x in operands}:
            continue
        reached.add(node.name)
        for operand in operands:
            if operand.name not in result:
                result.add(operand.name, Input(TensorType(operand.type.shape).shape), [])
                result.inputs.append(operand.name)
        result.put(node, [result[x.name] for x in operands])
        if node.name in cuts:
            end = node.name
            break
    wanted = (*graph.outputs.values(), end)
    result.outputs = {maker: maker for maker in wanted if maker in reached - {name}}
    return result, end
