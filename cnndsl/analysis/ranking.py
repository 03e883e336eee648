"""Which outputs are distances, of which the smallest is the best."""

from __future__ import annotations

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Dropout,
    Flatten,
    Identity,
    LeakyRelu,
    LogSoftmax,
    Relu,
    Relu6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)

KEEP_ORDER = (
    *(Dropout, Flatten, Identity, LeakyRelu, LogSoftmax, Relu, Relu6, Sigmoid, Softmax, Tanh),
)
"""Operators behind which the order of the channels is what it was."""


def smaller_is_better(graph: Graph) -> list[str]:
    """The outputs whose numbers are distances, or grow with distances."""
    return [name for name, node in graph.outputs.items() if _is_distance(graph, graph[node])]


def _is_distance(graph: Graph, node: Node) -> bool:
    turned = False
    while isinstance(node.op, (*KEEP_ORDER, Scale)):
        if isinstance(node.op, Scale):
            if len({*node.op.factor}) > 1 or len({*node.op.shift}) > 1:
                return False
            turned ^= node.op.factor[0] < 0
        (node,) = graph.producers(node)
    return node.op.smaller_is_better and not turned
