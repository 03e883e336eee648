"""Graphs that store 16-bit floating point numbers."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.ir.algebra import bfloat16
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Conv, Linear, Mover
from cnndsl.ir.part import Part
from cnndsl.ir.types import BFLOAT16, FLOAT32, DType


def stored_as(graph: Graph, dtype: DType) -> Graph:
    """A copy of an optimised graph whose tensors have a dtype; inputs and outputs stay float32.

    `NAME/dtype` and `NAME/float` convert. For bfloat16, linear layers have their weights rounded,
    but for depthwise convolutions, and their operand after a prologue; those that read an input of
    the network read it as it is, with weights as they are. The last ones have results in float32,
    as has what follows from these.
    """
    result = Graph(graph.name)
    result.photos, result.scopes = dict(graph.photos), dict(graph.scopes)
    made: dict[str, Node] = {}
    last = _last(graph) if dtype == BFLOAT16 else {}

    def cast(node: Node, label: str, to: DType) -> Node:
        name = f"{node.name}/{label}"
        return result[name] if name in result else result.add(name, Cast(to), [node])

    for node in graph.nodes():
        operands = [made[operand.name] for operand in graph.producers(node)]
        reads_input = dtype == BFLOAT16 and _reads_input(graph, node)
        if not reads_input and last.get(node.name, True):
            operands = [
                cast(x, str(dtype), dtype) if x.type.dtype == FLOAT32 else x for x in operands
            ]
        if dtype == BFLOAT16 and isinstance(node.op, Linear) and not reads_input:
            node = _rounded(node)
        if last.get(node.name) or (reads_input and node.name not in last):
            to = FLOAT32 if node.name in last else BFLOAT16
            node = replace(node, epilogue=(*node.epilogue, _step(node, to)))
        made[node.name] = result.put(node, operands)
    result.inputs, result.stages = list(graph.inputs), list(graph.stages)
    for name, maker in graph.outputs.items():
        is_float = made[maker].type.dtype == FLOAT32
        result.outputs[name] = maker if is_float else cast(made[maker], "float", FLOAT32).name
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
    """Whether a node can give float32 from bfloat16: a linear layer, a sum of two or its like."""
    is_sum = node.op.operands is None and node.op.formula and len(node.core.inputs) == 2
    return bool(isinstance(node.op, Linear) or is_sum) and node.pool is None


def _reads_input(graph: Graph, node: Node) -> bool:
    """Whether a node is a linear layer of an input of the network, and of nothing else."""
    names = [x.name for x in graph.producers(node)]
    is_plain = isinstance(node.op, Linear) and not node.prologue and node.pool is None
    return is_plain and len(names) == 1 and names[0] in graph.inputs


def _rounded(node: Node) -> Node:
    """A linear layer whose weights are rounded, and its operand after a prologue.

    Depthwise convolutions keep their few weights, which are multiplied as float32 everywhere.
    """
    weight, prologue = node.params["weight"], node.prologue
    is_depthwise = isinstance(node.op, Conv) and weight.shape[1] == 1 < node.op.groups
    params = {**node.params, "weight": weight if is_depthwise else bfloat16(weight)}
    if prologue and not isinstance(prologue[-1].op, Mover):
        prologue = (*prologue, _step(node, BFLOAT16))
    return replace(node, prologue=prologue, core=replace(node.core, params=params))


def _step(node: Node, dtype: DType) -> Part[Operator]:
    """A further step of a node, which is bound to its operand later."""
    return Part.of(Cast(dtype), [node.type])
