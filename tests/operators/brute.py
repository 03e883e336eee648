"""Every operator straight from its formula, in plain Python loops over single numbers.

`BRUTE` maps an operator class to a function of (operator as the language makes it, operands of
one sample, parameters by role).
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from cnndsl.ir import operators as ops
from cnndsl.ir.formula import Formula
from cnndsl.ir.operator import Operator
from cnndsl.runtime.module import Array
from tests.operators.brute_windows import (
    adaptive,
    average,
    bias_of,
    conv,
    conv_transpose,
    depthwise,
    distance_average,
    local_conv,
    pool,
    tiled_conv,
)


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def each(value: Callable[..., float]) -> Callable[..., Array]:
    """An operator whose element is value(op, x, channel, params)."""

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        result = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            result[index] = value(op, x[index], index[0], params)
        return result

    return brute


PLAIN = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "absolute": abs,
    "maximum": max,
    "minimum": min,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "power": math.pow,
    "tanh": math.tanh,
    "erf": math.erf,
    "select": lambda a, b, c, d: c if a >= b else d,
}


def formula(op: ops.Elementwise, x: float, channel: int, params: dict[str, Array]) -> float:
    def leaf(part: Formula) -> float:
        if part.function == "parameter":
            return float(params[str(part.value)][channel])
        return x if part.function == "x" else float(part.value)

    return op.formula.compute(leaf, lambda part, values: PLAIN[part.function](*values))


def columns(value: Callable[..., list[float]]) -> Callable[..., Array]:
    """An operator on the channels at each position: value(op, channels) -> channels.

    With a third parameter, the operator's parameters are given too.
    """
    given = len(inspect.signature(value).parameters) - 2

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        extra = [params][:given]
        found = {
            p: value(op, [x[(c, *p)] for c in range(len(x))], *extra)
            for p in np.ndindex(x.shape[1:])
        }
        channels = len(next(iter(found.values())))
        result = np.zeros((channels, *x.shape[1:]))
        for p, column in found.items():
            for c, number in enumerate(column):
                result[(c, *p)] = number
        return result

    return brute


def lrn(op: ops.LocalResponseNorm, x: list[float]) -> list[float]:
    half = op.size // 2
    return [
        v / (op.k + op.alpha * sum(
            x[j] ** 2 for j in range(max(0, c - half), min(len(x) - 1, c + half) + 1)
        )) ** op.beta
        for c, v in enumerate(x)
    ]  # fmt: skip


def softmax(op: Operator, x: list[float]) -> list[float]:
    return [1 / sum(math.exp(other - v) for other in x) for v in x]


def standard(group: list[float], eps: float) -> list[float]:
    centred = [v - mean(group) for v in group]
    return [v / math.sqrt(mean([d * d for d in centred]) + eps) for v in centred]


def scaled(op: Any, column: list[float], params: dict[str, Array]) -> list[float]:
    weight, bias = params.get("weight", [1.0] * len(column)), params.get("bias")
    return [v * weight[c] + (0 if bias is None else bias[c]) for c, v in enumerate(column)]


def length(x: list[float]) -> float:
    return math.sqrt(sum(v * v for v in x))


def runs_of_channels(groups: Callable[[Any, int], int]) -> Callable[..., Array]:
    """Each run of channels at all positions standardised, then scaled."""

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        result, size = np.zeros(x.shape), len(x) // groups(op, len(x))
        for first in range(0, len(x), size):
            places = list(np.ndindex(size, *x.shape[1:]))
            found = standard([x[(first + c, *p)] for c, *p in places], op.eps)
            for (c, *p), value in zip(places, found, strict=True):
                result[(first + c, *p)] = value
        return columns(scaled)(op, [result], params)

    return brute


def maxout(op: ops.Maxout, x: list[float]) -> list[float]:
    return [max(x[i : i + op.pieces]) for i in range(0, len(x), op.pieces)]


def shuffle(op: ops.Shuffle, x: list[float]) -> list[float]:
    per_group = len(x) // op.groups
    return [x[g * per_group + i] for i in range(per_group) for g in range(op.groups)]


def dense(value: Callable[..., float]) -> Callable[..., Array]:
    """An operator on the flattened input: value(x, unit, params) for every unit."""

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        x = [operands[0][index] for index in np.ndindex(*operands[0].shape)]
        return np.array([value(x, i, params) for i in range(getattr(op, "units", len(x)))])

    return brute


def fully_connected(x: list[float], i: int, p: dict[str, Array]) -> float:
    return sum(p["weight"][i, j] * v for j, v in enumerate(x)) + bias_of(p, i)


def radial_basis(x: list[float], i: int, p: dict[str, Array]) -> float:
    return sum((v - p["centres"][i, j]) ** 2 for j, v in enumerate(x))


def join(value: Callable[[list[float]], float]) -> Callable[..., Array]:
    def brute(op: Operator, operands: list[Array], params: dict[str, Array]) -> Array:
        rank = max(x.ndim for x in operands)
        filled = [x.reshape(x.shape + (1,) * (rank - x.ndim)) for x in operands]
        result = np.zeros([max(sizes) for sizes in zip(*(x.shape for x in filled), strict=True)])
        for index in np.ndindex(*result.shape):
            places = [tuple(map(min, index, (n - 1 for n in x.shape))) for x in filled]
            result[index] = value([x[place] for x, place in zip(filled, places, strict=True)])
        return result

    return brute


def softmax_sum(x: list[float]) -> float:
    half = len(x) // 2
    weights = [math.exp(score) for score in x[half:]]
    return sum(v * w for v, w in zip(x[:half], weights, strict=True)) / sum(weights)


def matrix_product(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
    a, b = operands
    matrix = a.reshape(len(a), -1)
    matrix = matrix.T if op.transposed else matrix
    result = np.zeros((len(matrix), *b.shape[1:]))
    for i, *p in np.ndindex(*result.shape):
        result[(i, *p)] = sum(matrix[i, j] * b[(j, *p)] for j in range(len(b)))
    return result


def concat(op: Operator, operands: list[Array], params: dict[str, Array]) -> Array:
    return np.array([channel for x in operands for channel in x])


def beside(op: ops.ConcatPositions, operands: list[Array], params: dict[str, Array]) -> Array:
    """Row by row, column by column."""
    names = [(), ("length",), ("height", "width"), ("depth", "height", "width")]
    axis = 1 + names[operands[0].ndim - 1].index(op.name.split("_")[1])
    return np.stack([x.take(j, axis) for x in operands for j in range(x.shape[axis])], axis)


def positions(
    size: Callable[[Any, int, int], int], source: Callable[[Any, int, int], int]
) -> Callable[..., Array]:
    """Output element j of axis a is input element source(op, a, j)."""

    def brute(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
        (x,) = operands
        sizes = [size(op, a, n) for a, n in enumerate(x.shape[1:])]
        result = np.zeros((len(x), *sizes))
        for c, *at in np.ndindex(*result.shape):
            result[(c, *at)] = x[(c, *(source(op, a, j) for a, j in enumerate(at)))]
        return result

    return brute


def resize(op: ops.Resize, operands: list[Array], params: dict[str, Array]) -> Array:
    """Every result as a sum over all positions of the input, by the kernel's value at each."""
    (x,) = operands
    rows = []
    for axis, n in enumerate(x.shape[1:]):
        scale = op.factor and axis_value(op.factor, axis)
        results = axis_value(op.size, axis) if op.size else math.floor(round(n * scale, 9))
        places = [resized_from(op, n, results, scale or results / n, j) for j in range(results)]
        rows.append([[spread(op, n, q, p) for q in range(n)] for p in places])
    result = np.zeros((len(x), *map(len, rows)))
    for c, *at in np.ndindex(*result.shape):
        result[(c, *at)] = sum(
            x[(c, *q)] * math.prod(row[j][k] for row, j, k in zip(rows, at, q, strict=True))
            for q in np.ndindex(*x.shape[1:])
        )
    return result


def resized_from(op: ops.Resize, n: int, results: int, scale: float, j: int) -> float:
    """Where result j lies."""
    if op.coordinates == "align_corners":
        return j * (n - 1) / (results - 1) if results > 1 else 0.0
    if op.coordinates == "asymmetric":
        return j / scale
    if op.coordinates == "pytorch_half_pixel" and results == 1:
        return 0.0
    return (j + 0.5) / scale - 0.5


def spread(op: ops.Resize, n: int, q: int, p: float) -> float:
    """The weight at p of position q, which stands for what is beyond it if it is the last."""
    beyond = range(-3, 1) if q == 0 else range(q, q + 1)
    beyond = range(beyond[0], n + 4) if q == n - 1 else beyond
    return sum(nearness(op, p, k) for k in beyond)


def nearness(op: ops.Resize, p: float, k: int) -> float:
    d, a = abs(p - k), op.cubic_coeff
    if op.mode == "linear":
        return max(1 - d, 0.0)
    if op.mode == "cubic":
        if d < 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
    p = round(p, 9)  # of a fraction's last bits none tells
    nearest = {
        "floor": lambda: p // 1,
        "ceil": lambda: -(-p // 1),
        "round_prefer_floor": lambda: p // 1 if p % 1 <= 0.5 else p // 1 + 1,
        "round_prefer_ceil": lambda: p // 1 if p % 1 < 0.5 else p // 1 + 1,
    }[op.rounding]()
    return float(k == nearest)


def axis_value(values: tuple[Any, ...], axis: int) -> Any:
    return values[axis] if len(values) > 1 else values[0]


def channel_value(values: tuple[float, ...], channel: int) -> float:
    return values[channel] if len(values) > 1 else values[0]


def pad(op: ops.Pad, operands: list[Array], params: dict[str, Array]) -> Array:
    """Number by number: the position is carried into the map step by step."""
    (x,) = operands
    sides = [axis_value(op.pads, a) for a in range(x.ndim - 1)]
    sizes = [n + sum(side) for n, side in zip(x.shape[1:], sides, strict=True)]
    result = np.zeros((len(x), *sizes))
    for c, *at in np.ndindex(*result.shape):
        place = []
        for j, n, (before, _) in zip(at, x.shape[1:], sides, strict=True):
            place.append(inside(op.mode, j - before, n))
        result[(c, *at)] = op.value if None in place else x[(c, *place)]
    return result


def inside(mode: str, i: int, n: int) -> int | None:
    while not 0 <= i < n:
        if mode == "constant":
            return None
        if mode == "edge":
            i += 1 if i < 0 else -1
        elif mode == "wrap":
            i += n if i < 0 else -n
        else:
            i = -i if i < 0 else 2 * (n - 1) - i
    return i


def crop(op: ops.Crop, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    for a, n in enumerate(x.shape[1:], start=1):
        if op.sides:
            first, after = axis_value(op.sides, a - 1)
            kept = n - first - after
        else:
            kept = axis_value(op.size, a - 1)
            first = (n - kept) // 2
        x = np.stack([x.take(first + j, a) for j in range(kept)], a)
    return x


def pixels(op: Any, operands: list[Array], params: dict[str, Array]) -> Array:
    """Every element of the one side goes to its place on the other."""
    (x,) = operands
    factor = [axis_value(op.factor, a) for a in range(x.ndim - 1)]
    count, shuffles = math.prod(factor), isinstance(op, ops.PixelShuffle)
    pairs = list(zip(x.shape[1:], factor, strict=True))
    channels = len(x) // count if shuffles else len(x)
    blocks = x.shape[1:] if shuffles else [n // f for n, f in pairs]
    wide = np.zeros((channels, *(n * f for n, f in zip(blocks, factor, strict=True))))
    deep = np.zeros((channels * count, *blocks))
    for c, *at in np.ndindex(*wide.shape):
        phase = 0
        for j, f in zip(at, factor, strict=True):
            phase = phase * f + j % f
        channel = c * count + phase if op.order == "crd" else phase * channels + c
        block = tuple(j // f for j, f in zip(at, factor, strict=True))
        if shuffles:
            wide[(c, *at)] = x[(channel, *block)]
        else:
            deep[(channel, *block)] = x[(c, *at)]
    return wide if shuffles else deep


def permute(op: ops.Permute, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    result = np.zeros([x.shape[a] for a in op.axes])
    for at in np.ndindex(*x.shape):
        result[tuple(at[a] for a in op.axes)] = x[at]
    return result


def reshape(op: ops.Reshape, operands: list[Array], params: dict[str, Array]) -> Array:
    (x,) = operands
    known = math.prod(n for n in op.shape if n > 0)
    shape = [x.size // known if n < 0 else n for n in op.shape]
    result = np.zeros(shape)
    for there, here in zip(np.ndindex(*shape), np.ndindex(*x.shape), strict=True):
        result[there] = x[here]
    return result


BRUTE: dict[type[Operator], Callable[..., Array]] = {
    **{op: each(formula) for op in ops.OPERATORS if issubclass(op, ops.Elementwise)},
    ops.Input: lambda op, operands, params: None,
    ops.Conv: conv,
    ops.Depthwise: depthwise,
    ops.ConvTranspose: conv_transpose,
    ops.LocalConv: local_conv,
    ops.TiledConv: tiled_conv,
    ops.MaxPool: pool(lambda op, found, clipped: max(v for v, _ in found)),
    ops.AvgPool: pool(average),
    ops.L2Pool: pool(lambda op, found, clipped: math.sqrt(sum(v * v for v, _ in found))),
    ops.DistanceAvgPool: pool(distance_average),
    ops.GlobalAvgPool: adaptive(mean),
    ops.GlobalMaxPool: adaptive(max),
    ops.AdaptiveAvgPool: adaptive(mean),
    ops.AdaptiveMaxPool: adaptive(max),
    ops.LocalResponseNorm: columns(lrn),
    ops.LayerNorm: columns(lambda op, x, p: scaled(op, standard(x, op.eps), p)),
    ops.InstanceNorm: runs_of_channels(lambda op, channels: channels),
    ops.GroupNorm: runs_of_channels(lambda op, channels: op.groups),
    ops.RmsNorm: columns(
        lambda op, x, p: scaled(op, [v / math.sqrt(length(x) ** 2 / len(x) + op.eps) for v in x], p)
    ),
    ops.L2Normalise: columns(
        lambda op, x, p: scaled(op, [v / max(length(x), op.eps) for v in x], p)
    ),
    ops.Normalize: each(
        lambda op, x, c, p: (x - channel_value(op.mean, c)) / channel_value(op.std, c)
    ),
    ops.Negate: each(lambda op, x, c, p: -x),
    ops.LayerScale: each(lambda op, x, c, p: x * p["weight"][c]),
    ops.LearnedValue: lambda op, operands, params: params["value"],
    ops.ConstantValue: lambda op, operands, params: np.array(op.values),
    ops.FullyConnected: dense(fully_connected),
    ops.RadialBasis: dense(radial_basis),
    ops.Flatten: dense(lambda x, i, p: x[i]),
    ops.Softmax: columns(softmax),
    ops.LogSoftmax: columns(lambda op, x: [math.log(v) for v in softmax(op, x)]),
    ops.Maxout: columns(maxout),
    ops.ArgMax: columns(lambda op, x: [float(x.index(max(x)))]),
    ops.ChannelMax: columns(lambda op, x: [max(x)]),
    ops.ChannelMean: columns(lambda op, x: [mean(x)]),
    ops.Add: join(sum),
    ops.Subtract: join(lambda values: values[0] - sum(values[1:])),
    ops.Mul: join(math.prod),
    ops.Divide: join(lambda values: values[0] / math.prod(values[1:])),
    ops.Max: join(max),
    ops.Min: join(min),
    ops.Average: join(mean),
    **dict.fromkeys(ops.BESIDE, beside),
    ops.SoftmaxSum: join(softmax_sum),
    ops.MatMul: matrix_product,
    ops.MatMulTransposed: matrix_product,
    ops.Concat: concat,
    ops.Slice: columns(lambda op, x: [x[c] for c in range(op.start, op.stop)]),
    ops.Shuffle: columns(shuffle),
    ops.PadChannels: columns(lambda op, x: x + [0.0] * (op.channels - len(x))),
    ops.Pad: pad,
    ops.Crop: crop,
    ops.PixelShuffle: pixels,
    ops.PixelUnshuffle: pixels,
    ops.Permute: permute,
    ops.Reshape: reshape,
    ops.Resize: resize,
    ops.Subsample: positions(
        lambda op, a, n: len(range(0, n, axis_value(op.stride, a))),
        lambda op, a, j: j * axis_value(op.stride, a),
    ),
    ops.Upsample: positions(
        lambda op, a, n: n * axis_value(op.factor, a),
        lambda op, a, j: j // axis_value(op.factor, a),
    ),
}
