"""What gradients are made of: reductions, correlations, maps along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnndsl.backends.numpy.kernels.types import (
    Kernel,
    last_axes,
    means,
    padded,
    per_channel,
    sums,
    taps,
)
from cnndsl.ir.formula import Formula
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Again,
    AxisMap,
    BatchMoment,
    BatchNormalise,
    Correlate,
    Function,
    JoinFunction,
    PositionalCorrelate,
    ReduceTo,
)
from cnndsl.runtime.module import Array

_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _computed(formula: Formula, leaves: dict[str, Any]) -> Array:
    """The formula of arrays that broadcast; a parameter is looked up by its role."""
    dtype = np.result_type(*leaves.values())

    def leaf(part: Formula) -> Array:
        if part.function == "number":
            return np.asarray(part.value, dtype)
        return np.asarray(leaves[str(part.value) or part.function])

    def made(part: Formula, operands: list[Array]) -> Array:
        if part.function == "select":
            a, b, yes, no = operands
            return np.where(a >= b, yes, no)
        if part.function == "erf":
            return np.asarray(_ERF(*operands), dtype)
        return np.asarray(getattr(np, part.function)(*operands))

    return np.asarray(formula.compute(leaf, made), dtype)


def function(op: Function, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The formula, for each element."""
    (x,) = inputs
    channels = {role: per_channel(values, x) for role, values in params.items()}
    return np.broadcast_to(_computed(op.function, {"x": x, **channels}), x.shape)


def join_function(op: JoinFunction, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The formula of both, the smaller one repeated."""
    rank = max(x.ndim for x in inputs)
    a, b = (x.reshape(*x.shape, *(1,) * (rank - x.ndim)) for x in inputs)
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.broadcast_to(_computed(op.function, {"x": a, "other": b}), shape)


def reduce_to(op: ReduceTo, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over the axes where the shape is 1, or ends."""
    (x,) = inputs
    sizes = (*op.shape, *(1,) * (x.ndim - 1 - len(op.shape)))
    axes = tuple(1 + k for k, n in enumerate(sizes) if n == 1) + (0,) * op.batch
    reduced = means(x, axes, True) if op.mean else sums(x, axes, True)
    return reduced.reshape(-1, *op.shape)


def axis_map(op: AxisMap, inputs: list[Array], params: dict[str, Array]) -> Array:
    """A product with the matrix of the weights."""
    (x,) = inputs
    matrix = np.zeros((len(op.taps), x.shape[1 + op.axis]), x.dtype)
    for row, own in zip(matrix, op.taps, strict=True):
        for place, weight in own:
            row[place] += weight
    return np.moveaxis(np.tensordot(x, matrix, (1 + op.axis, 1)), -1, 1 + op.axis)


def correlate(op: Correlate, inputs: list[Array], params: dict[str, Array]) -> Array:
    """For each offset in the kernel a product of matrices, summed over the batch."""
    x, g = inputs
    groups, filters, channels = op.groups, g.shape[1] // op.groups, x.shape[1] // op.groups
    result = np.zeros((groups, filters, channels, *op.kernel), x.dtype)
    rows = g.reshape(len(g), groups, filters, -1)
    for offset, tap in taps(padded(x, op.pads), g.shape[2:], op.kernel, op.stride, op.dilation):
        columns = tap.reshape(len(x), groups, channels, -1)
        last_axes(result, offset)[...] = (rows @ columns.swapaxes(2, 3)).sum(0)
    return result.reshape(1, g.shape[1], channels, *op.kernel)


def positional_correlate(
    op: PositionalCorrelate, inputs: list[Array], params: dict[str, Array]
) -> Array:
    """A product for each position, added up at the tile of the position."""
    x, g = inputs
    positions = g.shape[2:]
    count = math.prod(positions)
    columns, rows = (each.reshape(len(each), op.groups, -1, count) for each in (x, g))
    products = np.einsum("ngip,ngqp->pgiq", rows, columns, optimize=True)
    products = products.reshape(count, g.shape[1], -1)
    at = np.indices(positions) % np.reshape(op.tiles, (-1, *(1,) * len(positions)))
    result = np.zeros((*op.tiles, *products.shape[1:]), x.dtype)
    np.add.at(result, tuple(at.reshape(len(positions), -1)), products)
    channels = x.shape[1] // math.prod(op.kernel) // op.groups
    return np.moveaxis(result, -2, 0).reshape(1, g.shape[1], *op.tiles, channels, *op.kernel)


def batch_moment(op: BatchMoment, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Of each channel of all samples."""
    x, mean, *given = inputs
    centred = x - per_channel(mean[0], x)
    product = centred * (given[0] if given else centred)
    axes = (0, *range(2, x.ndim))
    return (means(product, axes) if op.mean else sums(product, axes))[None]


def batch_normalise(op: BatchNormalise, inputs: list[Array], params: dict[str, Array]) -> Array:
    """By each channel of all samples."""
    x = inputs[0]
    mean, variance = (per_channel(values[0], x) for values in inputs[1:])
    weight, bias = (per_channel(params[role], x) for role in ("weight", "bias"))
    return np.asarray((x - mean) / np.sqrt(variance + op.eps) * weight + bias)


KERNELS: dict[type[Operator], Kernel] = {
    Again: lambda op, inputs, params: inputs[0],
    Function: function,
    JoinFunction: join_function,
    ReduceTo: reduce_to,
    AxisMap: axis_map,
    Correlate: correlate,
    PositionalCorrelate: positional_correlate,
    BatchMoment: batch_moment,
    BatchNormalise: batch_normalise,
}
