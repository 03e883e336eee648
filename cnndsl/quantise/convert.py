"""From a graph of float32 to one that computes on codes wherever that has a meaning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operators import (
    Dequantise,
    FullyConnected,
    Input,
    Meaning,
    Quantise,
    Quantised,
    function_values,
    meaning_of,
)
from cnndsl.ir.quantisation import CODES, Quantisation
from cnndsl.quantise.calibration import Measured
from cnndsl.quantise.clamps import clip_codes
from cnndsl.quantise.layers import Params, layer_params, map_params, plain_layer
from cnndsl.quantise.scales import is_moved, shared_scales


@dataclass(frozen=True)
class Scales:
    """What a calibration gives: for each node its quantisation, and the means of its channels."""

    own: Mapping[str, Quantisation]
    means: Mapping[str, Sequence[float]]


def scales_of(tensors: Mapping[str, Measured], corrected: bool) -> Scales:
    """Those of measured tensors; without means unless biases are `corrected`."""
    own = {name: found.quantisation for name, found in tensors.items()}
    means = {name: found.mean for name, found in tensors.items()} if corrected else {}
    return Scales(own, means)


def quantised(graph: Graph, scales: Scales, keep_float: Collection[str] = ()) -> Graph:
    """A copy of a prepared graph (see `cnndsl.quantise.prepare`) on codes, nodes of the same names.

    Nodes that no linear layer on codes follows stay float32, and so do those of `keep_float` and
    those that have no meaning on codes. Between both, `NAME/codes` and `NAME/float` convert.
    """
    chosen = _chosen(graph, scales.own, keep_float)
    shared = shared_scales(graph, scales.own, chosen)
    return _Conversion(graph, shared, scales.means, chosen).result


def _chosen(graph: Graph, own: Mapping[str, Quantisation], keep_float: Collection[str]) -> set[str]:
    """The nodes to compute on codes."""
    able = {n.name for n in graph.nodes() if n.name not in keep_float and is_able(graph, n, own)}
    needed: set[str] = set()
    for node in reversed(list(graph.nodes())):
        layer = node.name in able and meaning(node) is Meaning.LINEAR
        if layer or any(reader.name in needed for reader, _ in graph.consumers(node)):
            needed.add(node.name)
    chosen: set[str] = set()
    for node in graph.nodes():
        follows = any(operand.name in chosen for operand in graph.producers(node))
        starts = is_moved(node) or meaning(node) is Meaning.LINEAR
        if node.name in able & needed and (starts or follows):
            chosen.add(node.name)
    return chosen


def meaning(node: Node) -> Meaning | None:
    """How what a node begins with computes on codes; None if it does not."""
    return meaning_of(node.op, node.core.inputs)


def is_able(graph: Graph, node: Node, own: Mapping[str, Quantisation]) -> bool:
    """Whether the node has a meaning on codes; tables have no place for what is not finite."""
    found = meaning(node)
    if found is not Meaning.TABLE:
        return found is not None
    (operand,) = graph.producers(node)
    q = own[operand.name]
    widest = np.linspace(2 * q.low - q.high, 2 * q.high - q.low, 4 * CODES)
    return bool(np.isfinite(function_values(node.op, widest)).all())


class _Conversion:
    """Builds the graph; `result` is it."""

    def __init__(
        self,
        graph: Graph,
        shared: Mapping[str, Quantisation],
        means: Mapping[str, Sequence[float]],
        chosen: Collection[str],
    ):
        self._graph, self._shared, self._means, self._chosen = graph, shared, means, chosen
        self.result = Graph(graph.name)
        for node in graph.nodes():
            self._add(node)
        result = self.result
        result.inputs = list(graph.inputs)
        result.photos = dict(graph.photos)
        result.outputs = {n: self._numbers(x).name for n, x in graph.outputs.items()}
        result.auxiliaries = {
            name: Auxiliary(self._numbers(aux.node).name, aux.weight)
            for name, aux in graph.auxiliaries.items()
        }
        result.stages = list(graph.stages)
        result.scopes = dict(graph.scopes)

    def _add(self, node: Node) -> None:
        names = [operand.name for operand in self._graph.producers(node)]
        if isinstance(node.op, Input):
            self.result.put(node, [])
        elif node.name in self._chosen:
            op, params = self._step(node, names)
            self.result.add(node.name, op, [self._codes(n) for n in names], params, node.spans)
        else:
            self.result.put(node, [self._numbers(name) for name in names])

    def _step(self, node: Node, operands: Sequence[str]) -> tuple[Quantised, Params]:
        """What computes the node on codes."""
        found, core = meaning(node), node.core
        result = None if self._stays_wide(node) else self._shared[node.name]
        low, high = (0, CODES - 1) if result is None else clip_codes(node, result)
        op, params = core.op, dict(core.params)
        source = self._shared[operands[0]]
        if found is Meaning.LINEAR:
            op = plain_layer(op)
            params = layer_params(core, source, result, self._means.get(operands[0]))
        elif found is Meaning.MAP:
            assert result is not None
            params = map_params(params, source, result)
        return Quantised(op, result, low, high), params

    def _stays_wide(self, node: Node) -> bool:
        """Whether the sums of a last layer become float32 numbers, not codes."""
        last = isinstance(node.op, FullyConnected) and not node.is_fused
        return last and not any(r.name in self._chosen for r, _ in self._graph.consumers(node))

    def _codes(self, name: str) -> Node:
        """The node that has the codes of a node of the graph."""
        node = self.result[name]
        if node.type.quantisation is not None:
            return node
        return self._once(f"{name}/codes", Quantise(self._shared[name]), node)

    def _numbers(self, name: str) -> Node:
        """The node that has the numbers of a node of the graph."""
        node = self.result[name]
        if node.type.quantisation is None:
            return node
        return self._once(f"{name}/float", Dequantise(), node)

    def _once(self, name: str, op: Quantise | Dequantise, operand: Node) -> Node:
        if name in self.result:
            return self.result[name]
        return self.result.add(name, op, [operand], spans=operand.spans)
