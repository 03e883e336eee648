"""Channel shuffles folded into the order of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnndsl.ir.algebra import reshape, take
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Channelwise, Conv, ConvTranspose, FullyConnected, Shuffle
from cnndsl.passes.depthwise_prologue import is_depthwise
from cnndsl.passes.fusing import step_of
from cnndsl.passes.rewrite import (
    Reject,
    Report,
    describe,
    require_inner,
    require_one_reader,
    rewrite_each,
)


@dataclass(frozen=True)
class FoldShuffle:
    """Removes a shuffle by reordering the filters before it, or the kernels behind it.

    It passes operators that keep channels apart, depthwise convolutions among them, and ends in
    a dense convolution or fully connected layer. Between two grouped convolutions it stays: no
    order of weights carries a channel from one group to another, which is what it is for (Zhang
    et al. 2018, section 3.1).
    """

    name: str = "fold-shuffle"
    algebra: str = "shuffle(conv(x, w)) => conv(x, w'); conv(shuffle(x), w) => conv(x, w')"

    def run(self, graph: Graph) -> Report:
        """Fold each shuffle back where possible, else forward."""
        return rewrite_each(graph, Shuffle, _fold)


def _fold(graph: Graph, node: Node) -> str:
    assert isinstance(node.op, Shuffle)
    (operand,) = graph.producers(node)
    order = _order(node.type.channels, node.op.groups)
    try:
        changed = _back(graph, operand, order)
    except Reject as back:
        try:
            changed = _forward(graph, node, inverse_order(node))
        except Reject as forward:
            raise Reject(f"not back: {back}; not forward: {forward}") from None
    with_new_weights(graph, [replace(new, spans=new.spans | node.spans) for new in changed])
    graph.bypass(node, graph[operand.name])
    return f"folded into {', '.join(new.name for new in changed)}"


def _order(channels: int, groups: int) -> list[int]:
    """The channel of the operand that each channel of a shuffle's result is."""
    size = channels // groups
    return [group * size + index for index in range(size) for group in range(groups)]


def inverse_order(node: Node) -> list[int]:
    """The channel of a shuffle's result that each channel of its operand becomes."""
    assert isinstance(node.op, Shuffle)
    order = _order(node.type.channels, node.op.groups)
    return sorted(range(len(order)), key=order.__getitem__)


def with_new_weights(graph: Graph, changed: Sequence[Node]) -> None:
    """Give nodes of the graph the operators, parameters and spans of their changed copies."""
    for new in changed:
        graph.update(graph[new.name], op=new.op, params=new.params, spans=new.spans)


def _back(graph: Graph, node: Node, order: Sequence[int]) -> list[Node]:
    """The nodes, with other weights, that make the value of `node` in another order."""
    require_one_reader(graph, node)
    if is_channelwise(node):
        (operand,) = graph.producers(node)
        return [*_back(graph, operand, order), *reordered(node, order)]
    weight = _dense_weight(node)
    axis = 1 if isinstance(node.op, ConvTranspose) else 0
    params = {"weight": take(weight, axis, order)}
    if "bias" in node.params:
        params["bias"] = take(node.params["bias"], 0, order)
    return [_with_params(node, params)]


def _forward(graph: Graph, node: Node, order: Sequence[int]) -> list[Node]:
    """The readers of `node`, with other weights, when it has its channels in another order."""
    require_inner(graph, node)
    changed = []
    for reader, _ in graph.consumers(node):
        if is_channelwise(reader):
            changed += [*reordered(reader, order), *_forward(graph, reader, order)]
            continue
        weight = _dense_weight(reader)
        if isinstance(reader.op, FullyConnected):
            units, inputs = weight.shape
            maps = reshape(weight, (units, len(order), inputs // len(order)))
            weight = reshape(take(maps, 1, order), (units, inputs))
        else:
            weight = take(weight, 0 if isinstance(reader.op, ConvTranspose) else 1, order)
        changed.append(_with_params(reader, {**reader.params, "weight": weight}))
    return changed


def is_channelwise(node: Node) -> bool:
    """Whether each channel of a node's result depends on the same channel of its operand alone."""
    if isinstance(node.op, Conv):
        return is_depthwise(node.op, node.params["weight"].shape)
    return isinstance(node.op, Channelwise)


def reordered(node: Node, order: Sequence[int]) -> list[Node]:
    """A channelwise node for channels in another order; nothing if it has no parameters."""
    if not node.params:
        return []
    part = step_of(node)
    params = {role: take(expression, 0, order) for role, expression in part.params.items()}
    return [_with_params(replace(node, core=part), params)]


def _dense_weight(node: Node) -> Expression:
    """The weight of a layer in which every filter reads every channel."""
    if not isinstance(node.op, Conv | ConvTranspose | FullyConnected):
        raise Reject(f"{describe(node)} keeps the order of the channels in no weight")
    if isinstance(node.op, Conv) and node.op.table is not None:
        raise Reject(f"{node.name} has a table of connections")
    if not isinstance(node.op, FullyConnected) and node.op.groups > 1:
        raise Reject(f"{node.name} is in {node.op.groups} groups, across which channels move")
    return node.params["weight"]


def _with_params(node: Node, params: Mapping[str, Expression]) -> Node:
    """The node with other weights, which are no longer constants of the network."""
    op = node.op
    if isinstance(op, Conv | ConvTranspose):
        op = replace(op, weight=None)
    return replace(node, core=replace(node.core, op=op, params=params))
