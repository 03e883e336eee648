"""What gradients are made of: reductions, correlations, maps along an axis."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.activation import lower_formula
from cnndsl.backends.onnx.lower.common import Lowerings, native, onnx_pads, per_channel
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


def _reduce_to(site: Site, op: ReduceTo) -> None:
    """Over the axes where the shape is 1, or ends; those behind its end go."""
    rank, own = site.input_type.rank, len(op.shape)
    axes = [0] * op.batch + [1 + k for k, n in enumerate(op.shape) if n == 1]
    beyond = list(range(1 + own, 2 + rank))
    kind = "ReduceMean" if op.mean else "ReduceSum"
    if not axes + beyond:
        site.emit("Identity", site.input)
    elif not beyond:
        site.emit(kind, site.input, axes=axes, keepdims=1)
    else:
        reduced = site.step("reduced", kind, site.input, axes=axes + beyond, keepdims=1)
        site.emit("Squeeze", reduced, axes=beyond)


def _axis_map(site: Site, op: AxisMap) -> None:
    """A product with the matrix of the weights, or elements that are gathered."""
    n = site.input_type.sizes[op.axis]
    if all(len(own) == 1 and own[0][1] == 1 for own in op.taps):
        places = site.integers("places", [place for ((place, _),) in op.taps])
        site.emit("Gather", site.input, places, axis=1 + op.axis)
        return
    matrix = np.zeros((len(op.taps), n))
    for row, own in zip(matrix, op.taps, strict=True):
        for place, weight in own:
            row[place] += weight
    behind = site.input_type.rank - op.axis
    if behind == 0:
        site.emit("MatMul", site.input, site.floats("matrix", matrix.T))
    elif behind == 1:
        site.emit("MatMul", site.floats("matrix", matrix), site.input)
    else:
        order = [*range(1 + op.axis), *range(2 + op.axis, 2 + site.input_type.rank), 1 + op.axis]
        last = site.step("last", "Transpose", site.input, perm=order)
        mapped = site.step("mapped", "MatMul", last, site.floats("matrix", matrix.T))
        site.emit("Transpose", mapped, perm=np.argsort(order).tolist())


def _correlate(site: Site, op: Correlate) -> None:
    """A convolution over the batch: samples are channels, and what is moved is the gradient."""
    x, g = site.part.inputs
    shape = site.integers("shape", [1, *site.output_type.sizes])
    if not op.kernel:
        turned = site.step("turned", "Transpose", site.inputs[1], perm=[1, 0])
        site.emit("Reshape", site.step("product", "MatMul", turned, site.inputs[0]), shape)
        return
    spatial = range(2, 2 + x.rank)
    kernels = site.step("kernels", "Transpose", site.inputs[1], perm=[1, 0, *spatial])
    correlated = site.step(
        "correlated", "Conv", _samples_as_channels(site, op), kernels,
        kernel_shape=g.sizes[1:], strides=op.dilation, dilations=op.stride,
        pads=onnx_pads(op.pads), group=op.groups,
    )  # fmt: skip
    starts, ends = site.integers("starts", [0] * x.rank), site.integers("ends", op.kernel)
    kept = site.step("kept", "Slice", correlated, starts, ends, site.integers("axes", spatial))
    site.emit("Reshape", site.step("by_filter", "Transpose", kept, perm=[1, 0, *spatial]), shape)


def _samples_as_channels(site: Site, op: Correlate) -> str:
    """x as [channels/groups, groups * samples, *positions]."""
    x = site.part.inputs[0]
    own = x.channels // op.groups
    if op.groups == 1:
        return site.step("samples", "Transpose", site.inputs[0], perm=[1, 0, *range(2, 2 + x.rank)])
    split = site.integers("split_shape", [0, op.groups, own, *x.sizes[1:]])
    parts = site.step("split", "Reshape", site.inputs[0], split)
    perm = [2, 1, 0, *range(3, 3 + x.rank)]
    ordered = site.step("ordered", "Transpose", parts, perm=perm)
    shape = site.integers("samples_shape", [own, -1, *x.sizes[1:]])
    return site.step("samples", "Reshape", ordered, shape)


def _positional_correlate(site: Site, op: PositionalCorrelate) -> None:
    """Products of matrices at each position, added up at its tile by another one."""
    x, g = site.part.inputs
    inner = x.channels // op.groups
    columns, rows = (
        site.step(role, "Transpose", site.step(f"flat_{role}", "Reshape", tensor, flat), perm=perm)
        for role, tensor, flat, perm in (
            ("columns", site.inputs[0], _flat(site, "x", op.groups, inner), [3, 1, 0, 2]),
            ("rows", site.inputs[1], _flat(site, "g", op.groups, g.channels // op.groups),
             [3, 1, 2, 0]),
        )
    )  # fmt: skip
    products = site.step("products", "MatMul", rows, columns)
    sizes, count = g.sizes[1:], math.prod(op.tiles)
    if op.tiles != sizes:
        at = np.indices(sizes).reshape(len(sizes), -1) % np.reshape(op.tiles, (-1, 1))
        tile = np.ravel_multi_index(tuple(at), op.tiles)
        matrix = site.floats("tiles", np.arange(count)[:, None] == tile)
        flat = site.integers("products_shape", [math.prod(sizes), g.channels * inner])
        table = site.step("table", "Reshape", products, flat)
        products = site.step("sums", "MatMul", matrix, table)
    shape = site.integers("tiled_shape", [count, g.channels, inner])
    products = site.step("tiled", "Reshape", products, shape)
    by_filter = site.step("by_filter", "Transpose", products, perm=[1, 0, 2])
    site.emit("Reshape", by_filter, site.integers("shape", [1, *site.output_type.sizes]))


def _flat(site: Site, role: str, groups: int, channels: int) -> str:
    return site.integers(f"{role}_shape", [0, groups, channels, -1])


def _batch_moment(site: Site, op: BatchMoment) -> None:
    rank = site.part.inputs[0].rank
    centred = site.step("centred", "Sub", site.inputs[0], _over_positions(site, 1, rank))
    other = site.inputs[2] if len(site.inputs) > 2 else centred
    product = site.step("product", "Mul", centred, other)
    kind = "ReduceMean" if op.mean else "ReduceSum"
    axes = [*range(2, 2 + rank)]
    reduced = site.step("reduced", kind, product, axes=[0, *axes], keepdims=1)
    if axes:
        site.emit("Squeeze", reduced, axes=axes)
    else:
        site.emit("Identity", reduced)


def _batch_normalise(site: Site, op: BatchNormalise) -> None:
    rank = site.output_type.rank
    mean, variance = (_over_positions(site, index, rank) for index in (1, 2))
    centred = site.step("centred", "Sub", site.inputs[0], mean)
    raised = site.step("raised", "Add", variance, site.floats("eps", op.eps))
    unit = site.step("unit", "Div", centred, site.step("deviation", "Sqrt", raised))
    weight, bias = (per_channel(site, role) for role in ("weight", "bias"))
    site.emit("Add", site.step("scaled", "Mul", unit, weight), bias)


def _over_positions(site: Site, index: int, rank: int) -> str:
    """An operand [1, channels] with an axis of size 1 for each of the positions."""
    if not rank:
        return site.inputs[index]
    return site.step(f"wide{index}", "Unsqueeze", site.inputs[index], axes=[*range(2, 2 + rank)])


LOWERINGS: Lowerings = {
    Again: native("Identity"),
    Function: lower_formula,
    JoinFunction: lower_formula,
    ReduceTo: _reduce_to,
    AxisMap: _axis_map,
    Correlate: _correlate,
    PositionalCorrelate: _positional_correlate,
    BatchMoment: _batch_moment,
    BatchNormalise: _batch_normalise,
}
