"""Outputs before the function that turns scores into probabilities."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Identity, LogSoftmax, Sigmoid, Softmax

LAST = (Softmax, LogSoftmax, Sigmoid)
"""Functions that make probabilities, or their logarithms."""


def with_logits(graph: Graph) -> Graph:
    """A copy whose outputs are the operands of a last softmax, log_softmax or sigmoid.

    Auxiliary ones too. Outputs that no such function makes stay; so do their names.
    """
    found = graph.copy()
    for output, name in graph.outputs.items():
        found.outputs[output] = _scores(found, found[name]).name
    for output, auxiliary in graph.auxiliaries.items():
        found.auxiliaries[output] = replace(
            auxiliary, node=_scores(found, found[auxiliary.node]).name
        )
    makers = [*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())]
    for name in reversed(makers):
        _remove(found, name)
    return found


def _scores(graph: Graph, node: Node) -> Node:
    """The node that makes the scores of an output."""
    before = node
    while isinstance(before.op, Identity) and not before.is_fused:
        (before,) = graph.producers(before)
    if isinstance(before.op, LAST) and not before.is_fused:
        return graph.producers(before)[0]
    return node


def _remove(graph: Graph, name: str) -> None:
    """Remove a node, and those before it, that nothing uses any more."""
    while name in graph and isinstance(graph[name].op, (*LAST, Identity)):
        node = graph[name]
        if graph.consumers(node) or graph.output_names(node):
            return
        (before,) = graph.producers(node)
        graph.remove(node)
        name = before.name
