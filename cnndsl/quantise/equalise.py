"""Cross-layer equalisation: neighbouring layers share their ranges channel by channel.

relu(W1 x) = s relu(W1 x / s) for s > 0, so the layer behind takes s into its weights. With
s = sqrt(r1 / r2), r1 and r2 being the largest weights of the channel in both layers, both become
sqrt(r1 r2). Source: Nagel et al. (2019), Data-free quantization through weight equalization and
bias correction, section 4.1.
"""

from __future__ import annotations

import math

from cnndsl.ir.algebra import along, divide, equaliser, largest_size, multiply, reshape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Channelwise, Conv, FullyConnected, Meaning, Relu, meaning_of


def equalise(graph: Graph) -> list[tuple[str, str]]:
    """Equalise all pairs of layers in place; returns their names.

    The ranges are those of the weights as they are given: one round, so that no expression is
    deeper than that of two layers.
    """
    given = list(graph.nodes())
    pairs = [(first, second) for first in given if (second := _partner(graph, first))]
    for first, second in pairs:
        weight = first.params["weight"]
        largest = largest_size(weight, range(1, len(weight.shape)))
        _share(graph, first.name, second.name, equaliser(largest, _largest_by_input(second)))
    return [(first.name, second.name) for first, second in pairs]


def _partner(graph: Graph, first: Node) -> Node | None:
    """The layer that alone reads the channels of another one, however pooled."""
    if not _is_layer(first) or not all(isinstance(p.op, Relu) for p in first.epilogue):
        return None
    node = first
    while len(graph.consumers(node)) == 1 and not graph.output_names(node):
        ((node, _),) = graph.consumers(node)
        if _is_layer(node):
            return node
        if not _keeps_factors(node):
            return None
    return None


def _is_layer(node: Node) -> bool:
    match node.op:
        case Conv(table=None, weight=None) | FullyConnected():
            return not node.prologue
    return False


def _keeps_factors(node: Node) -> bool:
    """Whether factors of channels go through it: it selects, or takes means, within channels."""
    found = meaning_of(node.op, node.core.inputs)
    alone = node.operands == 1 and isinstance(node.op, Channelwise) and not node.is_fused
    return alone and found in (Meaning.MOVE, Meaning.MEAN)


def _share(graph: Graph, first: str, second: str, factor: Expression) -> None:
    """Divide the channels of one layer by a factor [channels], and multiply it into the next."""
    divided = graph[first]
    weight = divided.params["weight"]
    params = {"weight": divide(weight, along(factor, 0, len(weight.shape)))}
    if "bias" in divided.params:
        params["bias"] = divide(divided.params["bias"], factor)
    graph.update(divided, params=params)
    multiplied = graph[second]
    by_input = _by_input(multiplied)
    groups, _, channels, _ = by_input.shape
    product = multiply(by_input, reshape(factor, (groups, 1, channels, 1)))
    weight = reshape(product, multiplied.params["weight"].shape)
    graph.update(multiplied, params={**multiplied.params, "weight": weight})


def _largest_by_input(node: Node) -> Expression:
    """[channels of the operand]."""
    return reshape(largest_size(_by_input(node), (1, 3)), (node.core.inputs[0].channels,))


def _by_input(node: Node) -> Expression:
    """The weight as [groups, filters of a group, channels of a group, what is summed up]."""
    weight, channels = node.params["weight"], node.core.inputs[0].channels
    groups = node.op.groups if isinstance(node.op, Conv) else 1
    rest = math.prod(weight.shape) // (weight.shape[0] * channels // groups)
    return reshape(weight, (groups, weight.shape[0] // groups, channels // groups, rest))
