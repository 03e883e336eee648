"""Channel shuffles computed by the grouped convolution that reads them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv, Shuffle
from cnndsl.passes.fold_shuffle import inverse_order, is_channelwise, reordered, with_new_weights
from cnndsl.passes.fusing import add_prologue
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class ShufflePrologue:
    """Makes a shuffle the index by which a grouped convolution reads its channels.

    What keeps channels apart in between, such as ShuffleNet's depthwise convolution, is then
    computed before the shuffle, with its weights in another order.
    """

    name: str = "shuffle-prologue"
    algebra: str = "conv(depthwise(shuffle(x), w)) => fused(depthwise(x, w'); shuffle, conv)"

    def run(self, graph: Graph) -> Report:
        """Move each shuffle into the convolution that it reaches, or leave it."""
        return rewrite_each(graph, Shuffle, _move)


def _move(graph: Graph, node: Node) -> str:
    assert isinstance(node.op, Shuffle)
    passed, reader = _reader(graph, node)
    (operand,) = graph.producers(node)
    order = inverse_order(node)
    with_new_weights(graph, [new for step in passed for new in reordered(step, order)])
    last = graph[passed[-1].name] if passed else operand
    add_prologue(graph, reader, last, [node])
    graph.bypass(node, operand)
    return f"prologue of {reader.name}"


def _reader(graph: Graph, node: Node) -> tuple[list[Node], Node]:
    """What keeps channels apart behind a node, one after another, and the convolution after it."""
    passed: list[Node] = []
    while True:
        require_one_reader(graph, node)
        ((node, _),) = graph.consumers(node)
        if not is_channelwise(node):
            break
        passed.append(node)
    if not isinstance(node.op, Conv) or node.op.groups == 1:
        raise Reject(f"{describe(node)} is no grouped convolution")
    return passed, node
