"""Fully connected layers of maps as convolutions, and convolutions of whole maps as layers."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.algebra import reshape
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Conv,
    Elementwise,
    Flatten,
    Flattening,
    FullyConnected,
    GlobalPool,
)
from cnndsl.ir.part import Part
from cnndsl.passes.rewrite import (
    Reject,
    Report,
    describe,
    require_one_reader,
    rewrite_each,
)


@dataclass(frozen=True)
class FcToConv:
    """Turns a fully connected layer of a C x H x W map into a convolution of window H x W.

    The weight [units, C*H*W] is [units, C, H, W] in the same order of numbers (Long et al. 2015,
    section 3.1). It is for backends whose convolutions are faster than their matrix products.
    """

    name: str = "fc-to-conv"
    algebra: str = "fc(x, w) => flatten(conv(x, reshape(w)))"

    def run(self, graph: Graph) -> Report:
        """Turn the layers whose input is a map."""
        return rewrite_each(graph, FullyConnected, _to_conv)


@dataclass(frozen=True)
class ConvToFc:
    """Turns a convolution whose window is all that it reads into a fully connected layer.

    What follows has to end in something that makes a vector of the 1 x 1 map, as flatten does.
    """

    name: str = "conv-to-fc"
    algebra: str = "flatten(conv(x, w)) => fc(x, reshape(w)), if the window covers x"

    def run(self, graph: Graph) -> Report:
        """Turn the convolutions that make 1 x 1 maps."""
        return rewrite_each(graph, Conv, _to_fc)


def _to_conv(graph: Graph, node: Node) -> str:
    assert isinstance(node.op, FullyConnected)
    (x,) = graph.producers(node)
    if x.type.rank == 0:
        raise Reject(f"its operand {describe(x)} is a vector")
    channels, *kernel = (size for size in x.type.shape if isinstance(size, int))
    op = Conv(node.op.units, tuple(kernel), pad=((0, 0),), bias=node.op.bias)
    weight = node.params["weight"]
    params = {**node.params, "weight": reshape(weight, (node.op.units, channels, *kernel))}
    outputs, readers = graph.output_names(node), [reader for reader, _ in graph.consumers(node)]
    conv = graph.put(Node(node.name, Part.of(op, [x.type], params), spans=node.spans), [x])
    if outputs or not all(isinstance(reader.op, Flattening) for reader in readers):
        graph.insert_after(conv, f"{node.name}/flatten", Flatten(), spans=node.spans)
    else:
        graph.bind_readers(conv)
    return f"a convolution of window {'x'.join(map(str, kernel))}"


def _to_fc(graph: Graph, node: Node) -> str | None:
    op = node.op
    assert isinstance(op, Conv)
    if set(node.type.spatial) != {1}:
        return None
    (x,) = graph.producers(node)
    if op.kernel != x.type.spatial or any(map(any, op.pads)):
        raise Reject(f"its window does not cover {describe(x)}, {x.type}, or is padded")
    if op.groups > 1 or op.table is not None or op.flip:
        raise Reject("it has groups, a table or a flipped kernel")
    between, last = _vector_maker(graph, node)
    weight = reshape(node.params["weight"], (op.filters, x.type.elements))
    params = {**node.params, "weight": weight}
    layer = Part.of(FullyConnected(op.filters, op.bias), [x.type], params)
    graph.put(Node(node.name, layer, spans=node.spans), [x])
    for step in between:
        graph.put(step, graph.producers(step))
    if not isinstance(last.op, Flatten | GlobalPool):
        graph.put(last, graph.producers(last))
    else:
        graph.bypass(last, graph.producers(last)[0])
    return f"a fully connected layer, up to {last.name}"


def _vector_maker(graph: Graph, node: Node) -> tuple[list[Node], Node]:
    """What makes a vector of the value of a node, and the elementwise operators before that."""
    between: list[Node] = []
    while True:
        require_one_reader(graph, node)
        ((reader, _),) = graph.consumers(node)
        if isinstance(reader.op, Flattening | GlobalPool):
            return between, reader
        if not isinstance(reader.op, Elementwise):
            raise Reject(f"its reader {describe(reader)} makes no vector of it")
        between.append(reader)
        node = reader
