"""Graphs that store 16-bit floating point numbers."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.ir.algebra import bfloat16
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Input, Linear, Mover
from cnndsl.ir.part import Part
from cnndsl.ir.types import BFLOAT16, FLOAT32, DType


def stored_as(graph: Graph, dtype: DType) -> Graph:
    """A copy of an optimised graph whose tensors have a dtype; inputs and outputs stay float32.

    `NAME/dtype` and `NAME/float` convert. For bfloat16 operands and weights of linear layers are
    rounded, and the last layers keep their results in float32, as does what follows from these.
    """
    result = Graph(graph.name)
    made: dict[str, Node] = {}
    last = _last(graph) if dtype == BFLOAT16 else {}
    for node in graph.nodes():
        operands = [made[operand.name] for operand in graph.producers(node)]
        if dtype == BFLOAT16 and isinstance(node.op, Linear):
            node = _rounded(node)
        if last.get(node.name):
            node = _in_float32(node)
        made[node.name] = result.put(node, operands)
        if isinstance(node.op, Input):
            made[node.name] = result.add(f"{node.name}/{dtype}", Cast(dtype), [made[node.name]])
    result.inputs, result.stages = list(graph.inputs), list(graph.stages)
    result.photos = dict(graph.photos)
    result.scopes = dict(graph.scopes)
    for name, maker in graph.outputs.items():
        result.outputs[name] = maker
        if made[maker].type.dtype != FLOAT32:
            cast = f"{maker}/float"
            if cast not in result:
                result.add(cast, Cast(FLOAT32), [made[maker]])
            result.outputs[name] = cast
    return result


def _last(graph: Graph) -> dict[str, bool]:
    """The nodes with results in float32, and whether their operands are in bfloat16.

    Those are the layer or the sum that an output follows from, and what stands in between, unless
    something else is made of it.
    """
    found: dict[str, bool] = {}
    for name in graph.outputs.values():
        chain = [graph[name]]
        while not _begins(chain[-1]):
            operands = graph.producers(chain[-1])
            if len(operands) != 1 or isinstance(chain[-1].op, Linear):
                break
            chain += operands
        users = [len(graph.consumers(node)) + len(graph.output_names(node)) for node in chain]
        if _begins(chain[-1]) and set(users) == {1}:
            found |= {node.name: node is chain[-1] for node in chain}
    return found


def _begins(node: Node) -> bool:
    """Whether a node can give float32 from bfloat16: a linear layer, or a sum or its like."""
    computes = isinstance(node.op, Linear) or (node.op.operands is None and node.op.formula)
    return bool(computes) and node.pool is None


def _in_float32(node: Node) -> Node:
    return replace(node, epilogue=(*node.epilogue, _cast(node, FLOAT32)))


def _rounded(node: Node) -> Node:
    """A linear layer whose weights are rounded, and its operand after a prologue."""
    params = {**node.params, "weight": bfloat16(node.params["weight"])}
    prologue = node.prologue
    if prologue and not isinstance(prologue[-1].op, Mover):
        prologue = (*prologue, _cast(node, BFLOAT16))
    return replace(node, prologue=prologue, core=replace(node.core, params=params))


def _cast(node: Node, dtype: DType) -> Part[Operator]:
    """A last step of some steps, which is bound to them later."""
    return Part.of(Cast(dtype), [node.type])
