"""How large the values in a network are, and starting weights that keep them near 1.

Mean and variance are carried from node to node, one pair for all numbers of a tensor. The inputs
are taken for normal with mean 0 and variance 1, operands for independent, and what a function of
single elements reads for normal. Each layer with weights then gets the factor with which its
results have variance 1, and each bn the statistics of its operand. That is what layer-sequential
unit-variance initialisation measures (Mishkin and Matas 2016, All you need is a good init), and of
He et al. (2015), section 2.2, between rectifiers. Neither depth nor residual branches let the
values grow beyond the square root of the number of terms that are added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnndsl.ir.dims import Dim
from cnndsl.ir.expressions import Constant, Expression, Parameter
from cnndsl.ir.formula import Formula, evaluate
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import (
    Activation,
    Add,
    ArgMax,
    Average,
    BatchNorm,
    ChannelMax,
    ChannelMean,
    Concat,
    ConcatPositions,
    ConstantValue,
    Conv,
    ConvTranspose,
    GroupNorm,
    Input,
    InstanceNorm,
    L2Normalise,
    L2Pool,
    LayerNorm,
    LearnedValue,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    Max,
    Maxout,
    Min,
    Mul,
    PadChannels,
    RadialBasis,
    RmsNorm,
    Scale,
    Softmax,
    SoftmaxSum,
    StochasticDepth,
    Subtract,
)
from cnndsl.ir.operators.attention import MatrixProduct
from cnndsl.ir.types import TensorType
from cnndsl.weights.initialise import Start, variance

Array = NDArray[np.float64]

SMALLEST = 1e-6
"""What a variance is taken for at least."""
LARGEST = 1e6
"""What a number is taken for at most: what a function makes beyond it is left aside."""


USUAL = 16
"""Positions on an axis of a map for which the share of padding is taken."""


class Moments(NamedTuple):
    """Mean and variance of the numbers of a tensor."""

    mean: float
    variance: float

    @property
    def square(self) -> float:
        """The mean of the squares."""
        return self.mean**2 + self.variance


UNIT = Moments(0.0, 1.0)


def starts(graph: Graph) -> dict[str, Start]:
    """How the parameters of a graph start, by name, where it is not as their initialisers say.

    `graph` is an inference graph; its sizes may be open.
    """
    found = _Starts({})
    moments: dict[str, Moments] = {}
    for node in graph.nodes():
        operands = [moments[producer.name] for producer in graph.producers(node)]
        moments[node.name] = found.behind(graph, node, operands)
    return found.starts


@dataclass(frozen=True)
class _Starts:
    """What has been decided; a shared parameter starts as its first reader wants it."""

    starts: dict[str, Start]

    def behind(self, graph: Graph, node: Node, operands: Sequence[Moments]) -> Moments:
        """The moments of a result."""
        op, types = node.op, graph.input_types(node)
        if isinstance(op, Input):
            return UNIT
        x = operands[0]
        if isinstance(op, Linear):
            return self._weighted(node, types[0], x)
        if isinstance(op, BatchNorm):
            return self._normalised(node, op, x)
        if isinstance(op, Concat | ConcatPositions):
            return _mixed(operands, [x.channels for x in types])
        if isinstance(op, Activation):
            return _of_normal(x, op.formula)
        if len(operands) > 1:
            names = [x.name for x in graph.producers(node)]
            return _joined(node, operands, names, types[1].channels)
        return _other(node, types[0], x)

    def _weighted(self, node: Node, x: TensorType, operand: Moments) -> Moments:
        weight = node.params["weight"]
        terms = _terms(node, weight, x)
        if not isinstance(weight, Parameter):
            return _by_constants(weight, operand)
        if not terms:  # every window lies in the padding
            return Moments(0.0, 0.0)
        spread = variance(weight) * terms * max(operand.square, SMALLEST)
        start = self.starts.setdefault(weight.name, Start(_rounded(1 / math.sqrt(spread))))
        return Moments(0.0, start.factor**2 * spread)

    def _normalised(self, node: Node, op: BatchNorm, x: Moments) -> Moments:
        mean, spread = node.params["running_mean"], node.params["running_var"]
        if not isinstance(mean, Parameter) or not isinstance(spread, Parameter):
            return UNIT
        shift = self.starts.setdefault(mean.name, Start(shift=_rounded(x.mean))).shift
        factor = self.starts.setdefault(
            spread.name, Start(_rounded(max(x.variance, SMALLEST)))
        ).factor
        scale = 1 / (factor + op.eps)
        return Moments((x.mean - shift) * math.sqrt(scale), x.variance * scale)


def _rounded(value: float) -> float:
    """Three digits, so that no library's last bit shows in the weights."""
    return float(f"{value:.2e}")


def _terms(node: Node, weight: Expression, x: TensorType) -> float:
    """How many products each result of a layer sums up, those with padding left out."""
    op, shape = node.op, weight.shape
    if isinstance(op, Conv):
        inputs = math.prod(shape) / op.filters / math.prod(op.kernel)
        return inputs * math.prod(_taps(op, axis, size) for axis, size in enumerate(x.spatial))
    if isinstance(op, ConvTranspose):
        return math.prod(shape) / op.filters / math.prod(op.stride)
    if x.is_open or node.type.is_open:
        return math.prod(shape[1:])
    return op.macs([x], node.type) / node.type.elements


def _taps(op: Conv, axis: int, size: Dim) -> float:
    """How many places of a kernel's axis lie within the map, in the mean over its results.

    It is that of a map of USUAL positions, so that a network has the same weights at all sizes,
    but for maps so small that some places never do.
    """
    if isinstance(size, int):
        hits, results = _hits(op, axis, size)
        if not all(hits):
            return sum(hits) / results
    hits, results = _hits(op, axis, max(USUAL, 2 * op.kernel[axis] * op.dilation[axis]))
    return sum(hits) / results


def _hits(op: Conv, axis: int, size: int) -> tuple[list[int], int]:
    """For how many results each place of a kernel's axis lies within a map, and how many there are.

    Result i reads position i * stride + place * dilation - padding.
    """
    (before, after), stride = op.pads[axis], op.stride[axis]
    places = [place * op.dilation[axis] - before for place in range(op.kernel[axis])]
    results = len(range(0, size + after - places[-1], stride))

    def results_before(position: int, place: int) -> int:
        """Those that the place reads before a position."""
        return min(results, max(0, -((place - position) // stride)))

    return [results_before(size, place) - results_before(0, place) for place in places], results


def _by_constants(weight: Expression, x: Moments) -> Moments:
    """Behind a kernel that the network gives, its inputs being independent."""
    if not isinstance(weight, Constant):
        return x
    kernels = np.asarray(weight.values, dtype=np.float64).reshape(weight.shape[0], -1)
    means = kernels.sum(1) * x.mean
    return Moments(float(means.mean()), float((kernels**2).sum(1).mean() * x.variance))


def _mixed(operands: Sequence[Moments], counts: Sequence[int]) -> Moments:
    """Of several sets of numbers together."""
    pairs = list(zip(operands, counts, strict=True))
    mean = sum(x.mean * n for x, n in pairs) / sum(counts)
    square = sum(x.square * n for x, n in pairs) / sum(counts)
    return Moments(mean, square - mean**2)


def _joined(node: Node, operands: Sequence[Moments], names: Sequence[str], terms: int) -> Moments:
    """Of a join; an operand that comes several times depends on itself.

    A result of a matrix product is a sum of so many terms.
    """
    if isinstance(node.op, Subtract):
        operands = [operands[0], *(Moments(-x.mean, x.variance) for x in operands[1:])]
    if isinstance(node.op, Add | Subtract | Average):
        count = len(operands) if isinstance(node.op, Average) else 1
        mean = sum(x.mean for x in operands)
        spread = sum(
            x.variance * names.count(name) for x, name in zip(operands, names, strict=True)
        )
        return Moments(mean / count, spread / count**2)
    if isinstance(node.op, Mul):
        repeated = 3 ** (len(names) - len(set(names)))
        mean = math.prod(x.mean for x in operands)
        square = math.prod(x.square for x in operands)
        return Moments(mean, max(square * repeated - mean**2, 0.0))
    if isinstance(node.op, SoftmaxSum):
        values = _mixed(operands[: len(operands) // 2], [1] * (len(operands) // 2))
        return Moments(values.mean, 2 * values.variance / len(operands))
    if isinstance(node.op, MatrixProduct):
        a, b = operands
        spread = max(a.square * b.square - (a.mean * b.mean) ** 2, 0.0)
        return Moments(terms * a.mean * b.mean, terms * spread)
    if isinstance(node.op, Max | Min):
        mixed = _mixed(operands, [1] * len(operands))
        largest = _largest(mixed, len(set(names)))
        if isinstance(node.op, Max):
            return largest
        return Moments(2 * mixed.mean - largest.mean, largest.variance)
    return operands[0]


def _largest(x: Moments, count: float) -> Moments:
    """Of the largest of several normal numbers (Blom 1958, for the mean)."""
    if count <= 1:
        return x
    mean = NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
    return Moments(x.mean + mean * math.sqrt(x.variance), x.variance / (1 + math.log(count)))


def _other(node: Node, x: TensorType, moments: Moments) -> Moments:
    """Of an operator of one operand that is no function of single elements."""
    op, channels = node.op, x.channels
    mean, spread = moments
    match op:
        case StochasticDepth(survival=factor):
            return Moments(mean * factor, spread * factor**2)
        case Scale(factor=factor, shift=shift):
            scales, shifts = np.asarray(factor), np.asarray(shift)
            means = scales * mean + shifts
            return Moments(float(means.mean()), float((scales**2).mean() * spread + means.var()))
        case LearnedValue(init=init):
            return Moments(float(init == "ones"), 0.02**2 if init == "normal" else 0.0)
        case ConstantValue(values=values):
            numbers = np.asarray(values, dtype=np.float64)
            return Moments(float(numbers.mean()), float(numbers.var()))
        case PadChannels():
            return _mixed([moments, Moments(0.0, 0.0)], [channels, node.type.channels - channels])
        case LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k):
            factor = (k + alpha * min(size, channels) * moments.square) ** -beta
            return Moments(mean * factor, spread * factor**2)
        case LayerNorm() | InstanceNorm() | GroupNorm():
            return UNIT
        case RmsNorm() | L2Normalise():
            terms = channels if isinstance(op, L2Normalise) else 1
            square = max(moments.square, SMALLEST) * terms
            return Moments(mean / math.sqrt(square), spread / square)
        case LogSoftmax():
            return Moments(-math.log(channels) - spread / 2, spread)
        case Softmax():
            return Moments(1 / channels, math.expm1(min(spread, 4.0)) / channels**2)
        case Maxout(pieces=pieces):
            return _largest(moments, pieces)
        case ArgMax():
            return Moments((channels - 1) / 2, (channels**2 - 1) / 12)
        case ChannelMax():
            return _largest(moments, channels)
        case ChannelMean():
            return Moments(mean, spread / channels)
        case RadialBasis():
            terms = math.prod(node.params["centres"].shape[1:])
            return Moments(terms * (moments.square + 1), terms * 4 * moments.square)
        case L2Pool():
            norm = math.prod(op.kernel) * moments.square
            return Moments(math.sqrt(norm), moments.square / 2)
    window = math.sqrt(_window(node))  # between neighbours that are alike and independent ones
    if "max" in op.name:
        return _largest(moments, window)
    if "avg" in op.name:
        return Moments(mean, spread / window)
    return moments


def _window(node: Node) -> float:
    """Positions that a pool reads for a result; where the size of the map tells, as often 7x7."""
    return float(math.prod(getattr(node.op, "kernel", (7, 7))))


@cache
def _normal() -> tuple[Array, Array]:
    """Points and their weights, with which sums are means over a normal number."""
    points = np.linspace(-8, 8, 801)
    density = np.exp(-(points**2) / 2)
    return points, density / density.sum()


def _of_normal(x: Moments, formula: Formula) -> Moments:
    """Of a function of a normal number where it is finite, with learned slopes as they start."""
    points, weights = _normal()
    values = evaluate(formula, x.mean + math.sqrt(x.variance) * points, 0.0, 0.25)
    defined = np.abs(values) < LARGEST
    if not defined.any():
        return UNIT
    values, weights = values[defined], weights[defined] / weights[defined].sum()
    mean = float(weights @ values)
    return Moments(mean, float(weights @ (values - mean) ** 2))
