"""Graphs that store 16-bit floating point numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from cnndsl.ir.algebra import bfloat16, subtract
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Conv, FullyConnected, Linear, Mover
from cnndsl.ir.part import Part
from cnndsl.ir.types import BFLOAT16, FLOAT32, DType
from cnndsl.quantise.layers import mean_shift


def stored_as(graph: Graph, dtype: DType, means: Mapping[str, Expression] | None = None) -> Graph:
    """A copy of an optimised graph whose tensors have a dtype; inputs and outputs stay float32.

    `NAME/dtype` and `NAME/float` convert. For bfloat16, linear layers have their weights rounded,
    but for depthwise convolutions, and their operand after a prologue; those that read an input of
    the network read it as it is, with weights as they are, and have results in float32 if
    depthwise convolutions alone read these. The last ones have results in float32, as has what
    follows from these. `means` are those of what the cores of nodes read, by name: with them
    biases make good for what rounded weights shift the mean of the result by.
    """
    result = Graph(graph.name)
    result.photos, result.scopes = dict(graph.photos), dict(graph.scopes)
    made: dict[str, Node] = {}
    last = _last(graph) if dtype == BFLOAT16 else {}
    wide = _wide(graph, last) if dtype == BFLOAT16 else set()

    def cast(node: Node, label: str, to: DType) -> Node:
        name = f"{node.name}/{label}"
        return result[name] if name in result else result.add(name, Cast(to), [node])

    for node in graph.nodes():
        operands = [made[operand.name] for operand in graph.producers(node)]
        reads_input = dtype == BFLOAT16 and _reads_input(graph, node)
        reads_floats = reads_input or any(x.name in wide for x in graph.producers(node))
        if not reads_floats and last.get(node.name, True):
            operands = [
                cast(x, str(dtype), dtype) if x.type.dtype == FLOAT32 else x for x in operands
            ]
        if dtype == BFLOAT16 and isinstance(node.op, Linear) and not reads_input:
            node = _rounded(node, (means or {}).get(node.name))
        if last.get(node.name):
            node = replace(node, epilogue=(*node.epilogue, _step(node, FLOAT32)))
        elif reads_floats and not node.prologue and node.name not in {*last, *wide}:
            node = replace(node, epilogue=(*node.epilogue, _step(node, BFLOAT16)))
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


def _wide(graph: Graph, last: Collection[str]) -> set[str]:
    """Layers of inputs that depthwise convolutions alone read, which multiply in float32."""
    return {
        node.name
        for node in graph.nodes()
        if _reads_input(graph, node)
        and node.name not in last
        and all(_begins_depthwise(graph, reader) for reader, _ in graph.consumers(node))
    }


def _begins_depthwise(graph: Graph, node: Node) -> bool:
    """Whether a layer of one operand begins with a depthwise convolution, which may be fused."""
    if not isinstance(node.op, Linear) or len(graph.producers(node)) != 1 or node.pool:
        return False
    rounds = not node.prologue or not isinstance(node.prologue[-1].op, Mover)
    return rounds and _is_depthwise(node.parts[0])


def _rounded(node: Node, mean: Expression | None) -> Node:
    """A linear layer whose weights are rounded, and its operand after a prologue.

    Depthwise convolutions keep their few weights, which are multiplied as float32 everywhere.
    """
    core, prologue = node.core, node.prologue
    weight = core.params["weight"]
    if not _is_depthwise(core):
        near = bfloat16(weight)
        params = {**core.params, "weight": near}
        if mean is not None and "bias" in params and _is_plain(core.op):
            shift = mean_shift(core, subtract(near, weight), mean)
            params["bias"] = subtract(params["bias"], shift)
        core = replace(core, params=params)
    if prologue and not isinstance(prologue[-1].op, Mover):
        prologue = (*prologue, _step(node, BFLOAT16))
    return replace(node, prologue=prologue, core=core)


def _is_plain(op: Operator) -> bool:
    """Whether the weight has an axis of all channels of a group."""
    return isinstance(op, FullyConnected) or (isinstance(op, Conv) and op.table is None)


def _is_depthwise(part: Part[Operator]) -> bool:
    match part.op:
        case Conv(groups=groups):
            return part.params["weight"].shape[1] == 1 < groups
    return False


def _step(node: Node, dtype: DType) -> Part[Operator]:
    """A further step of a node, which is bound to its operand later."""
    return Part.of(Cast(dtype), [node.type])
