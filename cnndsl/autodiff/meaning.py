"""Graphs as they are trained: batch statistics, and masks as inputs instead of what is drawn."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Affine,
    BatchNorm,
    BatchStandardise,
    Dropout,
    DropPath,
    Identity,
    Input,
    Mul,
    StochasticDepth,
)
from cnndsl.ir.types import Shape


def training_graph(graph: Graph) -> Graph:
    """A copy in which bn takes the statistics of the batch, and dropout its mask from an input.

    The input of a dropout node has its name and `.mask`. Its numbers are 0 or 1 / (1 - rate), one
    for each element; of drop_path one for each sample; of stochastic_depth 0 or 1, one for each
    sample.
    """
    result = Graph(graph.name)
    result.inputs = list(graph.inputs)
    for node in graph.nodes():
        operands = [result[operand.name] for operand in graph.producers(node)]
        rewrite = next((r for kind, r in _REWRITES.items() if type(node.op) is kind), None)
        if rewrite is None or node.is_fused:
            result.put(node, operands)
        else:
            rewrite(result, node, operands[0])
    result.outputs, result.auxiliaries = dict(graph.outputs), dict(graph.auxiliaries)
    result.stages, result.scopes = list(graph.stages), dict(graph.scopes)
    result.arguments = dict(graph.arguments)
    return result


def _batch_norm(graph: Graph, node: Node, x: Node) -> None:
    assert isinstance(node.op, BatchNorm)
    standard = graph.add(
        f"{node.name}.standardised", BatchStandardise(node.op.eps), [x], spans=node.spans
    )
    params = {role: node.params[role] for role in ("weight", "bias")}
    graph.add(node.name, Affine(), [standard], params, node.spans)


def _masked(shape_of: Callable[[Node], Shape]) -> Callable[[Graph, Node, Node], None]:
    def rewrite(graph: Graph, node: Node, x: Node) -> None:
        if getattr(node.op, "rate", 1) == 0 or getattr(node.op, "survival", 0) == 1:
            graph.add(node.name, Identity(), [x], spans=node.spans)
            return
        mask = graph.add(f"{node.name}.mask", Input(shape_of(x)), [], spans=node.spans)
        graph.inputs.append(mask.name)
        graph.add(node.name, Mul(), [x, mask], spans=node.spans)

    return rewrite


_REWRITES = {
    BatchNorm: _batch_norm,
    Dropout: _masked(lambda x: x.type.shape),
    DropPath: _masked(lambda x: (1,)),
    StochasticDepth: _masked(lambda x: (1,)),
}
