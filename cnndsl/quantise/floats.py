"""Graphs that store 16-bit floating point numbers."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.ir.algebra import bfloat16
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Cast, Input, Linear
from cnndsl.ir.types import BFLOAT16, FLOAT32, DType


def stored_as(graph: Graph, dtype: DType) -> Graph:
    """A copy of an optimised graph whose tensors have a dtype; inputs and outputs stay float32.

    `NAME/dtype` and `NAME/float` convert. Weights of linear layers are rounded for bfloat16.
    """
    result = Graph(graph.name)
    made: dict[str, Node] = {}
    for node in graph.nodes():
        operands = [made[operand.name] for operand in graph.producers(node)]
        if dtype == BFLOAT16:
            node = _with_rounded_weights(node)
        made[node.name] = result.put(node, operands)
        if isinstance(node.op, Input):
            made[node.name] = result.add(f"{node.name}/{dtype}", Cast(dtype), [made[node.name]])
    result.inputs, result.stages = list(graph.inputs), list(graph.stages)
    result.photos = dict(graph.photos)
    result.scopes = dict(graph.scopes)
    for name, maker in graph.outputs.items():
        cast = f"{maker}/float"
        if cast not in result:
            result.add(cast, Cast(FLOAT32), [made[maker]])
        result.outputs[name] = cast
    return result


def _with_rounded_weights(node: Node) -> Node:
    if not isinstance(node.op, Linear):
        return node
    params = {**node.params, "weight": bfloat16(node.params["weight"])}
    return replace(node, core=replace(node.core, params=params))
