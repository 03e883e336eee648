"""A graph on codes as kernels take it: what is only moved is moved as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cnndsl.backends.cpu.kernels.codes.operators import Coded, Decode, Encode
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Add,
    Dequantise,
    Identity,
    Input,
    Max,
    Meaning,
    Min,
    Quantise,
    Quantised,
)
from cnndsl.ir.quantisation import HIGHEST, Quantisation


def on_bytes(graph: Graph, *, fuses: bool) -> tuple[Graph, Mapping[str, int]]:
    """A copy whose codes are plain uint8, and the code for zero in each tensor of codes.

    A node that moves codes becomes one of the operator that moves them; operands in another scale
    are rescaled by a node before, and codes are clipped by a node behind. If it `fuses`, linear
    layers add a further operand to their results. All codes stay the same.
    """
    conversion = _Conversion(graph)
    for node in list(conversion.result.nodes()) if fuses else ():
        _fuse_sum(conversion.result, node)
    return conversion.result, conversion.zeros


def _fuse_sum(graph: Graph, node: Node) -> None:
    """Let the last linear layer whose result a sum of two alone reads compute the sum too."""
    if not isinstance(node.op, Coded) or not isinstance(node.op.quantised.op, Add):
        return
    operands = graph.producers(node)
    order = {each.name: index for index, each in enumerate(graph.nodes())}
    layers = [i for i, x in enumerate(operands) if _is_summand(graph, x, node)]
    if len(operands) != 2 or not layers:
        return
    index = max(layers, key=lambda i: order[operands[i].name])
    layer, other = operands[index], operands[1 - index]
    op = node.op.quantised
    both = replace(op, sources=(op.sources[index], op.sources[1 - index]))
    (x,) = graph.producers(layer)
    steps = [layer.core.step, (Coded(both), {})]
    spans = node.spans | layer.spans
    graph.put(Node.of(node.name, steps, [x.type, other.type], spans=spans), [x, other])
    graph.remove(layer)


def _is_summand(graph: Graph, x: Node, total: Node) -> bool:
    """Whether x is a linear layer of nothing else, of as many numbers as the total."""
    is_layer = isinstance(x.op, Coded) and x.op.quantised.meaning is Meaning.LINEAR
    return is_layer and not x.is_fused and len(graph.consumers(x)) == 1 and x.type == total.type


class _Conversion:
    """Builds the graph; `result` is it."""

    def __init__(self, graph: Graph):
        self.result = Graph(graph.name)
        self.zeros: dict[str, int] = {}
        for node in graph.nodes():
            self._add(node, [self.result[operand.name] for operand in graph.producers(node)])
        self.result.inputs = list(graph.inputs)
        self.result.outputs = dict(graph.outputs)
        self.result.stages = list(graph.stages)
        self.result.scopes = dict(graph.scopes)

    def _add(self, node: Node, operands: list[Node]) -> None:
        match node.op:
            case Input():
                self.result.put(node, [])
            case Quantise():
                self._put(node.name, Encode(node.op.result), operands, node)
            case Dequantise(source=Quantisation() as source):
                self.result.add(node.name, Decode(source), operands, spans=node.spans)
            case Quantised() as op if op.meaning is Meaning.MOVE:
                self._move(node, op, operands)
            case Quantised():
                self._put(node.name, Coded(node.op), operands, node)
            case _:
                self.result.put(node, operands)
        quantisation = node.type.quantisation
        if quantisation is not None:
            self.zeros[node.name] = quantisation.zero

    def _put(self, name: str, op: Encode | Coded, operands: list[Node], node: Node) -> Node:
        return self.result.add(name, op, operands, node.params, node.spans)

    def _move(self, node: Node, op: Quantised, operands: list[Node]) -> None:
        if isinstance(op.op, Max | Min | Identity):
            self._put(node.name, Coded(op), operands, node)
            return
        alike = [
            x if factor is None else self._rescaled(f"{node.name}/operand{i}", op, i, x)
            for i, (x, factor) in enumerate(zip(operands, op.rescaling, strict=True))
        ]
        if (op.low, op.high) == (0, HIGHEST):
            self.result.add(node.name, op.op, alike, spans=node.spans)
            return
        assert op.result is not None
        moved = self.result.add(f"{node.name}/unclipped", op.op, alike, spans=node.spans)
        self.zeros[moved.name] = op.result.zero
        clip = replace(op, op=Identity(), sources=(op.result,))
        self._put(node.name, Coded(clip), [moved], node)

    def _rescaled(self, name: str, op: Quantised, index: int, operand: Node) -> Node:
        """An operand in the scale of the result."""
        assert op.result is not None
        step = Quantised(Identity(), op.result, sources=(op.sources[index],))
        self.zeros[name] = op.result.zero
        return self.result.add(name, Coded(step), [operand], spans=operand.spans)
