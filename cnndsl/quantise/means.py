"""What linear layers read in the mean, as batch normalisation tells it, without any sample.

A normalised channel has the mean beta and the standard deviation |gamma| of its normalisation
(Nagel et al. 2019, Data-free quantization through weight equalization and bias correction,
section 4.2.1). What a normalised layer gives, and what is clamped, added up or joined of that, has
means that follow. They are expressions of the weights, as the parameters of layers are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnndsl.ir.algebra import add, concat, divide, multiply, sqrt, subtract
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Add, BatchNorm, Concat, GlobalAvgPool, Linear
from cnndsl.ir.part import Part
from cnndsl.passes.channel_affine import ChannelAffine
from cnndsl.passes.linear import after
from cnndsl.quantise.clamps import limits


@dataclass(frozen=True)
class _Moments:
    """The mean of each channel, [channels], and its standard deviation where that is known."""

    mean: Expression
    spread: Expression | None = None


def operand_means(written: Graph, optimised: Graph) -> dict[str, Expression]:
    """The means [channels] of what the cores of nodes read, by name, as far as they are known.

    `optimised` is what passes made of the `written` graph.
    """
    return _Means(written, optimised).operands


class _Means:
    """Goes through the optimised graph; `operands` has what it finds."""

    def __init__(self, written: Graph, optimised: Graph):
        self._normalised = _normalised(written)
        self.operands: dict[str, Expression] = {}
        found: dict[str, _Moments | None] = {}
        for node in optimised.nodes():
            read = [found[operand.name] for operand in optimised.producers(node)]
            found[node.name] = self._result(node, read) if read else None

    def _result(self, node: Node, read: Sequence[_Moments | None]) -> _Moments | None:
        def compute(part: Part[Operator], values: list[_Moments | None]) -> _Moments | None:
            if part is node.core and values[0] is not None:
                self.operands[node.name] = values[0].mean
            return self._made(part, values)

        return node.fold(read, compute)

    def _made(self, part: Part[Operator], values: Sequence[_Moments | None]) -> _Moments | None:
        if isinstance(part.op, Linear):
            bias = part.params.get("bias")
            return None if bias is None else self._normalised.get(bias)
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        means = [value.mean for value in known]
        clamp = limits(part.op)
        if clamp is not None and known[0].spread is not None:
            return _Moments(_clamped(means[0], known[0].spread, *clamp))
        match part.op:
            case Add() if len({x.channels for x in part.inputs}) == 1:
                total = means[0]
                for mean in means[1:]:
                    total = add(total, mean)
                return _Moments(total)
            case Concat():
                return _Moments(concat(means, 0))
            case GlobalAvgPool():
                return _Moments(means[0])
        return None


def _normalised(graph: Graph) -> Mapping[Expression, _Moments]:
    """Of layers that are normalised, by the bias that they have once that is folded into them.

    A layer of this very bias gives normalised channels in their order: whatever else is folded
    into it, or moves its channels, would be seen in the expression.
    """
    found: dict[Expression, _Moments] = {}
    for node in graph.nodes():
        if not isinstance(node.op, BatchNorm):
            continue
        (layer,) = graph.producers(node)
        if isinstance(layer.op, Linear):
            _, params = after(layer, graph.input_types(layer)[0], ChannelAffine.of(node))
            found[params["bias"]] = _Moments(node.params["bias"], node.params["weight"])
    return found


def _clamped(mean: Expression, spread: Expression, low: float, high: float) -> Expression:
    """The mean of normally distributed numbers once they are clamped.

    min(max(x, low), high) = x + relu(low - x) - relu(x - high).
    """
    result = mean
    if math.isfinite(low):
        result = add(result, _rectified(subtract(low, mean), spread))
    if math.isfinite(high):
        result = subtract(result, _rectified(subtract(mean, high), spread))
    return result


def _rectified(mean: Expression, spread: Expression) -> Expression:
    """The mean of relu(x), to 5 % of the standard deviation s: (m + sqrt(m^2 + 2 s^2 / pi)) / 2.

    It is exact for a mean of 0, and far from it.
    """
    square = multiply(multiply(spread, spread), 2 / math.pi)
    return divide(add(mean, sqrt(add(multiply(mean, mean), square))), 2.0)
