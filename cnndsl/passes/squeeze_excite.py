"""Squeeze-and-excitation blocks as one operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cnndsl.ir.algebra import ZERO, broadcast, reshape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Flatten,
    FullyConnected,
    GlobalAvgPool,
    Mul,
    SqueezeExcite,
)
from cnndsl.ir.operators.squeeze_excite import FUNCTIONS
from cnndsl.ir.types import TensorType
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class SqueezeExcitation:
    """Makes one operator of a map and the factors for its channels that are computed from it.

    The two layers may be fully connected or 1x1 convolutions of the 1x1 map of a pool.
    """

    name: str = "squeeze-excite"
    algebra: str = "x * sigmoid(fc(relu(fc(global_avgpool(x))))) => squeeze_excite(x)"

    def run(self, graph: Graph) -> Report:
        """Fuse each product of a map and a vector whose factor is such a branch of the map."""
        return rewrite_each(graph, Mul, _fuse)


def _fuse(graph: Graph, node: Node) -> str | None:
    operands = graph.producers(node)
    vectors = [operand for operand in operands if operand.type.rank == 0]
    if not vectors or node.type.rank == 0:
        return None
    if len(operands) > 2:
        raise Reject(f"it has {len(operands)} operands")
    (x,) = (operand for operand in operands if operand.type.rank)
    if vectors[0].type.channels != x.type.channels:
        raise Reject(f"{describe(vectors[0])} is one factor for all channels")
    branch = _Branch(graph, vectors[0])
    gate = branch.take(_is_activation, "gate such as sigmoid")
    second = branch.take(_is_layer, "layer of one position")
    activation = branch.take(_is_activation, "activation without parameters")
    first = branch.take(_is_layer, "layer of one position")
    pool = branch.take(_is_mean, "mean of each map")
    if branch.next.name != x.name:
        raise Reject(f"{pool.name} pools {branch.next.name}, not {x.name}")
    op = SqueezeExcite(first.type.channels, activation.op.name, gate.op.name)
    params = _layer_params(first, "1", x.type.channels)
    params |= _layer_params(second, "2", first.type.channels)
    spans = node.spans.union(*(inner.spans for inner in branch.taken))
    graph.redefine(node, op, [x], params, spans)
    for inner in branch.taken:
        graph.remove(inner)
    return f"one operator with {', '.join(inner.name for inner in reversed(branch.taken))}"


class _Branch:
    """The operators that make the factors, from the last one back."""

    def __init__(self, graph: Graph, last: Node):
        self.graph = graph
        self.next = last
        self.taken: list[Node] = []

    def take(self, fits: Callable[[Node, TensorType], bool], what: str) -> Node:
        """The next operator, flattening aside. Raises Reject if it does not fit."""
        while isinstance(self.next.op, Flatten):
            self._step()
        node = self.next
        if not fits(node, self._operand(node).type):
            raise Reject(f"{describe(node)} is no {what}")
        self._step()
        return node

    def _step(self) -> None:
        require_one_reader(self.graph, self.next)
        self.taken.append(self.next)
        self.next = self._operand(self.next)

    def _operand(self, node: Node) -> Node:
        return next(iter(self.graph.producers(node)), node)


def _is_activation(node: Node, _: TensorType) -> bool:
    function = FUNCTIONS.get(node.op.name)
    return function is not None and node.op == function()


def _is_layer(node: Node, x: TensorType) -> bool:
    """W x + b of a vector, or of a map of one position."""
    if any(size != 1 for size in x.spatial):
        return False
    match node.op:
        case FullyConnected():
            return True
        case Conv(kernel=kernel, pads=pads, groups=1, table=None):
            return set(kernel) == {1} and not any(map(any, pads))
    return False


def _is_mean(node: Node, x: TensorType) -> bool:
    """One number for each channel: the mean of its whole map."""
    match node.op:
        case GlobalAvgPool():
            return True
        case AdaptiveAvgPool(size=size):
            return set(size) == {1}
        case AvgPool(kernel=kernel, pads=pads):
            return kernel == x.spatial and not any(map(any, pads))
    return False


def _layer_params(layer: Node, number: str, inputs: int) -> dict[str, Expression]:
    units = layer.type.channels
    bias = layer.params.get("bias", broadcast(ZERO, (units,)))
    return {f"w{number}": reshape(layer.params["weight"], (units, inputs)), f"b{number}": bias}
