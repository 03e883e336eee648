"""The layers of a network as papers print them: one row for each, with sizes and costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnndsl.analysis.cost import Cost, graph_cost, node_costs
from cnndsl.ir.attributes import Sizes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import ConstantValue, Input, LogSoftmax, RadialBasis, Softmax
from cnndsl.ir.operators.activation import Activation
from cnndsl.ir.operators.bases import Elementwise, Linear, Mover
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads


@dataclass(frozen=True)
class Layer:
    """One row; None where the layer has no such thing, and for MACs that an open size decides.

    Sizes are one for each axis, `padding` in positions before and after. `activation` names the
    functions behind the layer that alone read it. `weights` and `biases` count learned numbers;
    a parameter shared by several layers counts at the first of them.
    """

    name: str
    kind: str
    kernel: Sizes | None
    filters: int | None
    stride: Sizes | None
    padding: Pads | None
    dilation: Sizes | None
    groups: int | None
    activation: str | None
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    weights: int
    biases: int
    macs: int | None


def layers(graph: Graph) -> list[Layer]:
    """A row for each layer in order of execution, auxiliary heads included.

    Layers are convolutions, fully connected layers, pools, norms, joins, all that resizes maps, and
    whatever has parameters. Activations without parameters are named beside the layer in front of
    them, unless that is read elsewhere as well. What only moves numbers within a tensor, scales
    them by constants, or acts in training alone, has no row.
    """
    costs = node_costs(graph)
    rows = _with_activations(graph)
    return [_row(graph, node, costs[node.name], behind) for node, behind in rows]


def whole_network(graph: Graph) -> Layer:
    """The last row: what all layers cost together, and the depth as the kind."""
    inputs = tuple(graph[name].type for name in graph.inputs)
    outputs = tuple(graph[name].type for name in graph.outputs.values())
    cost = graph_cost(graph)
    return Layer(
        "total", f"depth {weighted_depth(graph)}", None, None, None, None, None, None, None,
        inputs, outputs, cost.weights, cost.biases, cost.macs,
    )  # fmt: skip


def weighted_depth(graph: Graph) -> int:
    """Layers with weights on the longest path from an input to an output.

    Those are convolutions and fully connected layers, also of radial basis functions; norms do
    not count, nor do convolutions with constant weights.
    """
    depths: dict[str, int] = {}
    for node in graph.nodes():
        before = max((depths[producer.name] for producer in graph.producers(node)), default=0)
        depths[node.name] = before + sum(has_weights(part.op) for part in node.parts)
    return max((depths[name] for name in graph.outputs.values()), default=0)


def has_weights(op: Operator) -> bool:
    """Whether an operator counts as a layer of the depth."""
    return isinstance(op, Linear | RadialBasis) and not op.constants()


def _with_activations(graph: Graph) -> Iterator[tuple[Node, list[str]]]:
    """The nodes that have a row, with the names of the activations behind each."""
    behind: dict[str, list[str]] = {}
    rows = []
    for node in graph.nodes():
        operands = graph.producers(node)
        layer = None
        if len(operands) == 1 and _is_read_once(graph, operands[0]):
            layer = behind.get(operands[0].name)
        is_activation = isinstance(node.op, Activation | Softmax | LogSoftmax)
        is_beside = layer is not None if is_activation else _is_silent(node)
        if node.is_fused or node.op.parameters(node.core.inputs) or not is_beside:
            behind[node.name] = [part.op.name for part in node.epilogue]
            rows.append(node)
        elif layer is not None:
            behind[node.name] = layer
            layer += [node.op.name] if is_activation else []
    return ((node, behind[node.name]) for node in rows)


def _is_read_once(graph: Graph, node: Node) -> bool:
    return len(graph.consumers(node)) == 1 and not graph.output_names(node)


def _is_silent(node: Node) -> bool:
    """Whether a node without parameters is no layer; concat and what resizes maps are layers."""
    if isinstance(node.op, Input | ConstantValue):
        return True
    windows = node.op.windows(node.core.inputs) or ()
    resizes = any(window.step != 1 or window.each != 1 for window in windows)
    return isinstance(node.op, Mover | Elementwise) and node.operands == 1 and not resizes


def _row(graph: Graph, node: Node, cost: Cost, behind: list[str]) -> Layer:
    op = node.op
    kernel, filters, units, stride, pad, dilation, groups = (
        getattr(op, name, None)
        for name in ("kernel", "filters", "units", "stride", "pad", "dilation", "groups")
    )
    return Layer(
        node.name, op.name, kernel, filters or units, stride, pad, dilation, groups,
        ", ".join(behind) or None, tuple(graph.input_types(node)), (node.type,),
        cost.weights, cost.biases, cost.macs,
    )  # fmt: skip
