"""Graphs as modules can be written: one operator to a node, parameters of their own names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Mul, SqueezeExcite
from cnndsl.ir.part import Step

USE = re.compile(r"@\d+")
"""What tells the uses of a shared layer from its first one."""


@dataclass(frozen=True)
class PlainGraph:
    """A graph of single operators, and what its parameters are made of, by name.

    A parameter is called `<path of its module>.<role>`, as in a state dict.
    """

    graph: Graph
    expressions: Mapping[str, Expression]

    def ties(self) -> Iterator[tuple[str, str]]:
        """Pairs of names of one parameter: a later one, and the first."""
        first: dict[Parameter, str] = {}
        for name, expression in self.expressions.items():
            if isinstance(expression, Parameter):
                known = first.setdefault(expression, name)
                if known != name:
                    yield name, known


def module_path(node: str) -> str:
    """The path of a node's module: all uses of a layer have one."""
    return USE.sub("", node)


def plain(graph: Graph) -> PlainGraph:
    """The same graph with fused nodes taken apart."""
    result = Graph(graph.name)
    expressions: dict[str, Expression] = {}
    made: dict[str, Node] = {}
    for node in graph.nodes():
        operands = [made[producer.name] for producer in graph.producers(node)]
        made[node.name] = _taken_apart(node, operands, result, expressions)
    result.inputs = list(graph.inputs)
    result.photos = dict(graph.photos)
    result.outputs = dict(graph.outputs)
    result.auxiliaries = dict(graph.auxiliaries)
    result.scopes = dict(graph.scopes)
    result.arguments = {path: dict(given) for path, given in graph.arguments.items()}
    return PlainGraph(result, expressions)


def _taken_apart(
    node: Node, operands: list[Node], result: Graph, expressions: dict[str, Expression]
) -> Node:
    """The nodes of the parts of a node; the last one has its name."""
    labelled = list(node.labelled())
    waiting = iter(operands)
    value: Node | None = None
    for index, (label, part) in enumerate(labelled):
        is_last = index == len(labelled) - 1
        name = node.name if is_last else f"{node.name}_{label}"
        count = len(part.inputs) - (value is not None)
        own = [*([value] if value else []), *(next(waiting) for _ in range(count))]
        value = _one(name, part.step, own, node, result, expressions)
    assert value is not None
    return value


def _one(
    name: str,
    step: Step,
    operands: list[Node],
    node: Node,
    result: Graph,
    expressions: dict[str, Expression],
) -> Node:
    op, params = step
    if not isinstance(op, SqueezeExcite):
        return _added(name, op, params, operands, node, result, expressions)
    (x,) = factors = operands
    for part in op.factor_parts(x.type.channels):
        own = {role: params[source] for role, source in part.roles.items()}
        label = f"{name}_{part.label}"
        factors = [_added(label, part.op, own, factors, node, result, expressions)]
    return _added(name, Mul(), {}, [x, *factors], node, result, expressions)


def _added(
    name: str,
    op: Operator,
    params: Mapping[str, Expression],
    operands: list[Node],
    node: Node,
    result: Graph,
    expressions: dict[str, Expression],
) -> Node:
    constants = op.constants()
    own: dict[str, Expression] = {}
    for role, expression in params.items():
        if role in constants:
            own[role] = expression
            continue
        full = f"{module_path(name)}.{role}"
        known = expressions.setdefault(full, expression)
        if known != expression:
            full = f"{name}.{role}"
            expressions[full] = expression
        like = expression if isinstance(expression, Parameter) else None
        start = like or Parameter(full, expression.shape, "zeros")
        own[role] = replace(start, name=full)
    return result.add(name, op, operands, own, node.spans)
