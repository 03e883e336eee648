"""Graphs of open sizes at known ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim, at
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.types import TensorType


def at_sizes(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """The graph, with the same nodes and parameters, for known values of its open sizes.

    Raises CnnError (E0604) if a window is larger than a map that it has to fit into.
    """
    found = graph.copy()
    types: dict[str, TensorType] = {}
    for node in graph.nodes():
        operands = [types[producer.name] for producer in graph.producers(node)]
        sized = _node_at(node, operands, sizes)
        found.nx.nodes[node.name]["node"] = sized
        types[node.name] = sized.type
    return found


def is_open(graph: Graph) -> bool:
    """Whether a size of an input is open."""
    return any(graph[name].type.is_open for name in graph.inputs)


def example_sizes(graph: Graph) -> str:
    """An option that closes the first input of open sizes, for hints; an open size is 224 there."""
    name = next(name for name in graph.inputs if graph[name].type.is_open)
    sizes = (224 if isinstance(size, OpenDim) else size for size in graph[name].type.shape)
    return f"--input-shape {name}={'x'.join(map(str, sizes))}"


def require_static(graph: Graph) -> None:
    """Raise CnnError (E0615) if a size of an input is open."""
    for name in graph.inputs:
        if graph[name].type.is_open:
            raise CnnError.of(
                "E0615",
                f"static is asked for, but input {name!r} is {graph[name].type}",
                hint=f"give it numbers: {example_sizes(graph)}",
            )


def _node_at(node: Node, operands: list[TensorType], sizes: Mapping[str, int]) -> Node:
    if not any(kind.is_open for part in node.parts for kind in (*part.inputs, part.output)):
        return node
    try:
        steps = [(operator_at(part.op, sizes), part.params) for part in node.parts]
        sized = Node.of(node.name, steps, operands, len(node.prologue), node.spans)
    except OperatorError as error:
        raise _too_small(node, error.message) from None
    for open_part, part in zip(node.parts, sized.parts, strict=True):
        expected = tuple(at(dim, sizes) for dim in open_part.output.shape)
        if part.output.shape != expected or min(expected) < 1:
            raise _too_small(node, f"the result of {part.op.name} would have no position")
    return sized


def _too_small(node: Node, reason: str) -> CnnError:
    return CnnError.of(
        "E0604",
        f"the network cannot take an input of this size: {reason}",
        hint="give a larger input",
        notes=[f"at {node.name} ({node.op.name})"],
    )


def operator_at(op: Operator, sizes: Mapping[str, int]) -> Operator:
    """An operator whose attributes are known numbers."""
    values = {field.name: getattr(op, field.name) for field in fields(op)}
    known = {
        name: _known(value, sizes)
        for name, value in values.items()
        if isinstance(value, tuple) and any(isinstance(item, OpenDim) for item in value)
    }
    return replace(op, **known) if known else op


def _known(value: Any, sizes: Mapping[str, int]) -> Any:
    return tuple(at(item, sizes) if isinstance(item, OpenDim) else item for item in value)
