"""Cross-layer equalisation: the channels between two layers get ranges that suit codes.

relu(W1 x) = s relu(W1 x / s) for s > 0, so the layer behind takes s into its weights (Nagel et al.
2019, Data-free quantization through weight equalization and bias correction, section 4.1). There
s = sqrt(r1 / r2) of the largest weights of a channel in both layers; here every filter has a scale
of its own, so r1 is what counts: the peak of the channel between them. A depthwise layer behind has
a scale for each channel as well, so all peaks become equal: s = r1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cnndsl.ir.algebra import (
    ONE,
    along,
    broadcast,
    constant,
    divide,
    equaliser,
    largest_size,
    multiply,
    reshape,
)
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Channelwise, Conv, FullyConnected, Meaning, Relu, meaning_of
from cnndsl.ir.part import Part
from cnndsl.quantise.clamps import limits

Peaks = Mapping[str, Sequence[float]]
"""The largest values of the channels of nodes, by name."""


def equalisable(graph: Graph) -> list[str]:
    """The layers of a prepared graph whose results can be equalised, if they stay within clamps."""
    return [node.name for node in graph.nodes() if _partner(graph, node)]


def equalise(graph: Graph, peaks: Peaks) -> None:
    """Equalise, in place, the layers that have peaks; clamps above them become rectifiers.

    A layer that comes near its clamp stays as it is. The ranges of weights are those that are
    given, so that no expression is deeper than that of two layers.
    """
    given = {node.name: node for node in graph.nodes()}
    partners = {name: _partner(graph, given[name]) for name in peaks if name in given}
    for name, second in partners.items():
        if second is not None and max(peaks[name]) < _ceiling(given[name]):
            _rectify(graph, graph[name])
            _share(graph, name, second.name, _factor(peaks[name], second))


def _factor(peaks: Sequence[float], second: Node) -> Expression:
    """What the channels are divided by, [channels]."""
    largest = max(peaks)
    shares = constant([peak / largest if peak > 0 else 1.0 for peak in peaks])
    if isinstance(second.op, Conv) and second.op.groups == second.op.filters == len(peaks):
        ones = broadcast(ONE, shares.shape)
        return multiply(equaliser(shares, ones), equaliser(shares, ones))
    return equaliser(shares, _largest_by_input(second))


def _partner(graph: Graph, first: Node) -> Node | None:
    """The layer that alone reads the channels of another one, rectified and however pooled."""
    clamps = [limits(part.op) for part in first.epilogue]
    if not _is_layer(first) or any(found is None or found[0] != 0 for found in clamps):
        return None
    node = first
    while len(graph.consumers(node)) == 1 and not graph.output_names(node):
        ((node, _),) = graph.consumers(node)
        if _is_layer(node):
            return node
        if not _keeps_factors(node):
            return None
    return None


def _ceiling(node: Node) -> float:
    return min((found[1] for part in node.epilogue if (found := limits(part.op))), default=math.inf)


def _rectify(graph: Graph, node: Node) -> None:
    if math.isfinite(_ceiling(node)):
        relu = Part.of(Relu(), [node.core.output])
        graph.put(replace(node, epilogue=(relu,)), graph.producers(node))


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
