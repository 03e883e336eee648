"""Cross-layer equalisation: channels between layers get ranges that suit codes.

relu(W1 x) = s relu(W1 x / s) for s > 0, so the layer behind takes s into its weights (Nagel et al.
2019, Data-free quantization through weight equalization and bias correction, section 4.1). There
s = sqrt(r1 / r2) of the largest weights of a channel in both layers; here every filter has a scale
of its own, so r1 is what counts: the peak of the channel between them. A depthwise layer behind has
a scale for each channel as well, so all peaks become equal: s = r1.

The same holds for all that is added up: of a sum of residuals every operand is divided by s, and
every layer that reads the sum, or an operand of it, takes s into its weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from cnndsl.ir.algebra import (
    ONE,
    along,
    broadcast,
    constant,
    divide,
    equaliser,
    largest_size,
    maximum,
    multiply,
    reshape,
)
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Channelwise, Conv, FullyConnected, Meaning, Relu, meaning_of
from cnndsl.ir.part import Part
from cnndsl.quantise.clamps import limits

Peaks = Mapping[str, Sequence[float]]
"""The largest values of the channels of nodes, by name."""


@dataclass
class _Region:
    """Tensors, by the names of their nodes, whose channels are divided by the same factors.

    Each is made by a layer, is a sum of others, or has the values of another in each channel.
    `readers` are the layers that take the factors into their weights.
    """

    tensors: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)


def equalisable(graph: Graph) -> list[str]:
    """The nodes of a prepared graph whose peaks tell how to equalise it."""
    return [name for region in _regions(graph) for name in _measured(graph, region)]


def equalise(graph: Graph, peaks: Peaks) -> None:
    """Equalise, in place, where all peaks are known; clamps above them become rectifiers.

    What comes near its clamp stays as it is. The ranges of weights are those that are given, so
    that no expression is deeper than that of two layers.
    """
    regions = [region for region in _regions(graph) if set(_measured(graph, region)) <= set(peaks)]
    factors = [_factor(graph, region, peaks) for region in regions]
    for region, factor in zip(regions, factors, strict=True):
        measured = _measured(graph, region)
        if all(max(peaks[name]) < _ceiling(graph[name]) for name in measured):
            for name in measured:
                _rectify(graph, graph[name])
                if _is_layer(graph[name]):
                    _divide(graph, graph[name], factor)
            for name in region.readers:
                _multiply(graph, graph[name], factor)


def _regions(graph: Graph) -> list[_Region]:
    """All, in the order of the graph."""
    found: list[_Region] = []
    seen: set[str] = set()
    for node in graph.nodes():
        if _is_layer(node) and node.name not in seen:
            region = _Region()
            whole = _grow(graph, node, region)
            seen.update(region.tensors)
            if whole:
                found.append(region)
    return found


def _grow(graph: Graph, first: Node, region: _Region) -> bool:
    """All that shares factors with the result of a layer; whether factors are possible there."""
    left, possible = [first], True
    while left:
        node = left.pop()
        if node.name in region.tensors:
            continue
        region.tensors.append(node.name)
        if not _is_layer(node):
            left.extend(graph.producers(node))
        clamps = [limits(part.op) for part in node.epilogue]
        possible &= _takes_factors(node) and not graph.output_names(node)
        possible &= all(found is not None and found[0] == 0 for found in clamps)
        for reader, _ in graph.consumers(node):
            if not _is_layer(reader):
                if not _takes_factors(reader):
                    return False
                left.append(reader)
            elif reader.name not in region.readers:
                region.readers.append(reader.name)
    return possible and bool(region.readers)


def _takes_factors(node: Node) -> bool:
    """Whether it is a layer, adds up, or selects or takes means within channels."""
    if _is_layer(node):
        return True
    if isinstance(node.op, Add):
        return not node.prologue and len({x.shape for x in node.core.inputs}) == 1
    found = meaning_of(node.op, node.core.inputs)
    alone = node.operands == 1 and isinstance(node.op, Channelwise) and not node.is_fused
    return alone and found in (Meaning.MOVE, Meaning.MEAN)


def _measured(graph: Graph, region: _Region) -> list[str]:
    """Layers and sums; what else there is has no larger values."""
    makers = (graph[name] for name in region.tensors)
    return [node.name for node in makers if _is_layer(node) or isinstance(node.op, Add)]


def _factor(graph: Graph, region: _Region, peaks: Peaks) -> Expression:
    """What the channels are divided by, [channels]."""
    by_tensor = [peaks[name] for name in _measured(graph, region)]
    highest = [max(of_channel) for of_channel in zip(*by_tensor, strict=True)]
    shares = constant([peak / max(highest) if peak > 0 else 1.0 for peak in highest])
    readers = [graph[name] for name in region.readers]
    dense = [node for node in readers if not _is_depthwise(node)]
    if not dense:
        ones = broadcast(ONE, shares.shape)
        return multiply(equaliser(shares, ones), equaliser(shares, ones))
    return equaliser(shares, reduce(maximum, map(_largest_by_input, dense)))


def _is_depthwise(node: Node) -> bool:
    channels = node.core.inputs[0].channels
    return isinstance(node.op, Conv) and node.op.groups == node.op.filters == channels


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


def _divide(graph: Graph, node: Node, factor: Expression) -> None:
    """The channels of a layer's result by a factor [channels]."""
    weight = node.params["weight"]
    params = {"weight": divide(weight, along(factor, 0, len(weight.shape)))}
    if "bias" in node.params:
        params["bias"] = divide(node.params["bias"], factor)
    graph.update(node, params=params)


def _multiply(graph: Graph, node: Node, factor: Expression) -> None:
    """The channels of a layer's operand, by way of its weights."""
    by_input = _by_input(node)
    groups, _, channels, _ = by_input.shape
    product = multiply(by_input, reshape(factor, (groups, 1, channels, 1)))
    weight = reshape(product, node.params["weight"].shape)
    graph.update(node, params={**node.params, "weight": weight})


def _largest_by_input(node: Node) -> Expression:
    """[channels of the operand]."""
    return reshape(largest_size(_by_input(node), (1, 3)), (node.core.inputs[0].channels,))


def _by_input(node: Node) -> Expression:
    """The weight as [groups, filters of a group, channels of a group, what is summed up]."""
    weight, channels = node.params["weight"], node.core.inputs[0].channels
    groups = node.op.groups if isinstance(node.op, Conv) else 1
    rest = math.prod(weight.shape) // (weight.shape[0] * channels // groups)
    return reshape(weight, (groups, weight.shape[0] // groups, channels // groups, rest))
