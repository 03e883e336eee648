"""Graphs as they are trained: batch statistics, and masks as inputs instead of what is drawn."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.autodiff.builder import Builder
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.formula import OTHER, X, maximum, parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    BatchMoment,
    BatchNorm,
    BatchNormalise,
    Dropout,
    DropPath,
    Identity,
    Input,
    Mul,
    ReduceTo,
    StochasticDepth,
)
from cnndsl.ir.types import Shape

MOMENTUM = 0.1
"""The share of a batch in the running statistics of bn: PyTorch's, one less that of Keras."""

SUFFIX = ".updated"
"""What the name of an updated parameter ends in."""


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
    mean_of = ReduceTo((x.type.channels,), mean=True, batch=True)
    mean = graph.add(f"{node.name}.mean", mean_of, [x], spans=node.spans)
    second = BatchMoment(mean=True)
    variance = graph.add(f"{node.name}.variance", second, [x, mean], spans=node.spans)
    params = {role: node.params[role] for role in ("weight", "bias")}
    normalise = BatchNormalise(node.op.eps)
    graph.add(node.name, normalise, [x, mean, variance], params, node.spans)


def add_running_statistics(graph: Graph, source: Graph) -> dict[str, Node]:
    """Add what a step of training makes of running means and variances, by the parameters' names.

    `graph` is the training graph of `source`. Of a batch with mean m and variance v of n numbers
    of a channel they become (1 - a) mean + a m and (1 - a) var + a v n / (n - 1), with a = 0.1 and
    n - 1 at least 1. Statistics that several nodes share are updated by one after the other.
    """
    found: dict[str, Node] = {}
    for node in source.nodes():
        if not isinstance(node.op, BatchNorm) or node.is_fused:
            continue
        x, mean, variance = graph.producers(graph[node.name])
        build = Builder(graph, node.name)
        unbiased = build.join(X * (OTHER / maximum(OTHER - 1, 1)), variance, build.count(x))
        for role, batch in (("running_mean", mean), ("running_var", unbiased)):
            given = node.params[role]
            if not isinstance(given, Parameter):
                continue
            if given.name in found:
                mixed = X * MOMENTUM + OTHER * (1 - MOMENTUM)
                found[given.name] = build.join(mixed, batch, found[given.name])
            else:
                mixed = X * MOMENTUM + parameter(role) * (1 - MOMENTUM)
                found[given.name] = build.function(mixed, batch, {role: given})
    return found


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
