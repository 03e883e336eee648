"""Losses as operators: a number for the whole batch, of the outputs and an input with targets."""

from __future__ import annotations

import math
from collections.abc import Callable

from cnndsl.analysis.ranking import smaller_is_better
from cnndsl.autodiff.builder import Builder
from cnndsl.diagnostics import CnnError
from cnndsl.ir.formula import OTHER, X, exp, log
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Input, LogSoftmax, Softmax

LOSSES = ("auto", "cross_entropy", "mse", "map")
"""auto: map for outputs that are distances, cross_entropy for others."""

JUNK = 1.0
"""The constant j of the MAP criterion: e^-j is the weight of what is no class."""


def add_loss(graph: Graph, loss: str) -> Node:
    """Add the loss of all outputs, auxiliary ones with their weights, and the inputs it reads.

    Targets have the shape of the output: for classes a 1 at the right one, or probabilities. If
    all outputs have one shape they share the input `target`, else there is `OUTPUT.target` for
    each. Raises CnnError (E0615) for a loss that there is not.
    """
    if loss not in LOSSES:
        raise CnnError.of("E0615", f"loss is one of {', '.join(LOSSES)}, not {loss!r}")
    distances = smaller_is_better(graph)
    nodes = {name: graph[node] for name, node in graph.outputs.items()}
    nodes |= {name: graph[aux.node] for name, aux in graph.auxiliaries.items()}
    targets = _targets(graph, nodes)
    terms = []
    for name, node in nodes.items():
        kind = ("map" if name in distances else "cross_entropy") if loss == "auto" else loss
        if (kind == "map") != (name in distances) and kind != "mse":
            what = "distances" if name in distances else "scores, not distances"
            raise CnnError.of("E0615", f"loss {kind} does not fit: {name!r} holds {what}")
        build = Builder(graph, f"{name}.loss")
        found = build.reduced(_KINDS[kind](build, node, targets[name]), (1,), mean=True, batch=True)
        weight = graph.auxiliaries[name].weight if name in graph.auxiliaries else 1.0
        terms.append(build.scaled(found, weight))
    return terms[0] if len(terms) == 1 else Builder(graph, "loss").add(Add(), *terms)


def _targets(graph: Graph, nodes: dict[str, Node]) -> dict[str, Node]:
    shapes = {node.type.shape for node in nodes.values()}
    found: dict[str, Node] = {}
    for name, node in nodes.items():
        target = "target" if len(shapes) == 1 else f"{name}.target"
        while target in graph and target not in {node.name for node in found.values()}:
            target += "_"
        if target not in graph:
            graph.add(target, Input(node.type.shape), [])
            graph.inputs.append(target)
        found[name] = graph[target]
    return found


def _cross_entropy(build: Builder, node: Node, target: Node) -> Node:
    """-sum_c t[c] log p[c] at each position; p is softmax of the output, unless that is one."""
    if isinstance(node.op, Softmax):
        (node,) = build.graph.producers(node)
    if not isinstance(node.op, LogSoftmax):
        node = build.add(LogSoftmax(), node)
    shape = (1, *node.type.sizes[1:])
    return build.scaled(build.reduced(build.product(node, target), shape), -1)


def _mse(build: Builder, node: Node, target: Node) -> Node:
    return build.join((X - OTHER) * (X - OTHER), node, target)


def _map(build: Builder, node: Node, target: Node) -> Node:
    """y_D + log(e^-j + sum_i e^-y_i), D the class (LeCun et al. 1998, equation 9)."""
    shape = (1, *node.type.sizes[1:])
    right = build.reduced(build.product(node, target), shape)
    powers = build.reduced(build.function(exp(-X), node), shape)
    return build.add(Add(), right, build.function(log(X + math.exp(-JUNK)), powers))


_KINDS: dict[str, Callable[[Builder, Node, Node], Node]] = {
    "cross_entropy": _cross_entropy,
    "mse": _mse,
    "map": _map,
}
