"""Convolutions, each a sum of matrix products: one for every offset in the kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnndsl.backends.numpy.kernels.types import (
    Kernel,
    last_axes,
    output_shape,
    padded,
    per_channel,
    taps,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, ConvTranspose, LocalConv, TiledConv
from cnndsl.runtime.module import Array


def conv(op: Conv, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Convolution: plain, grouped, dilated, by table, or with a flipped kernel."""
    (x,) = inputs
    channels, batch = x.shape[1], len(x)
    _, *spatial = output_shape(op, x)
    weight = params["weight"]
    if op.table is not None:
        weight = _dense(weight, op.table, channels)
    if op.flip:
        weight = np.flip(weight, tuple(range(2, weight.ndim)))
    groups = op.groups
    by_offset = np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-2, -1))).reshape(
        *op.kernel, groups, op.filters // groups, channels // groups
    )
    result = np.zeros((batch, groups, op.filters // groups, int(np.prod(spatial))), x.dtype)
    for offset, tap in taps(padded(x, op.pads), spatial, op.kernel, op.stride, op.dilation):
        result += by_offset[offset] @ tap.reshape(batch, groups, channels // groups, -1)
    return _biased(result.reshape(batch, op.filters, *spatial), params)


def conv_transpose(op: ConvTranspose, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Every input position adds its multiple of the kernel to the result."""
    (x,) = inputs
    batch, channels, *positions = x.shape
    _, *spatial = output_shape(op, x)
    groups = op.groups
    whole = np.zeros(
        (batch, op.filters, *(b + n + a for n, (b, a) in zip(spatial, op.pads, strict=True))),
        x.dtype,
    )
    weight = params["weight"].reshape(groups, channels // groups, op.filters // groups, *op.kernel)
    columns = x.reshape(batch, groups, channels // groups, -1)
    for offset, target in taps(whole, positions, op.kernel, op.stride, op.dilation):
        product = last_axes(weight, offset).swapaxes(1, 2) @ columns
        target += product.reshape(target.shape)
    crop = [slice(b, b + n) for n, (b, _) in zip(spatial, op.pads, strict=True)]
    return _biased(last_axes(whole, crop), params)


def local_conv(op: LocalConv, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Convolution with a kernel of its own for every output position."""
    (x,) = inputs
    weight, bias = params["weight"], params.get("bias")
    if op.table is not None:
        rank = len(op.kernel)
        last = np.moveaxis(weight, range(1, 1 + rank), range(-rank, 0))
        dense = _dense(last, op.table, x.shape[1])
        weight = np.moveaxis(dense, range(-rank, 0), range(1, 1 + rank))
    if op.groups == 1:
        return _local(op, x, weight, bias)
    part = replace(op, filters=op.filters // op.groups, groups=1, bias=False)
    operands, weights = np.split(x, op.groups, 1), np.split(weight, op.groups)
    parts = [_local(part, *each, None) for each in zip(operands, weights, strict=True)]
    result = np.concatenate(parts, 1)
    return result if bias is None else result + bias


def tiled_conv(op: TiledConv, inputs: list[Array], params: dict[str, Array]) -> Array:
    """A locally connected layer whose kernels repeat."""
    (x,) = inputs
    _, *spatial = output_shape(op, x)
    tiled = dict(params)
    for role, values in params.items():
        for axis, size in enumerate(spatial, start=1):
            values = np.take(values, np.arange(size) % op.period, axis)
        tiled[role] = values
    return _local(op, x, tiled["weight"], tiled.get("bias"))


def _local(op: LocalConv | TiledConv, x: Array, weight: Array, bias: Array | None) -> Array:
    """weight [filters, *outputs, channels, *kernel], bias [filters, *outputs]."""
    batch, channels = x.shape[:2]
    filters, *spatial = output_shape(op, x)
    result = np.zeros((batch, filters, int(np.prod(spatial))), x.dtype)
    weight = weight.reshape(filters, -1, channels, *op.kernel)
    ones = (1,) * len(spatial)
    for offset, tap in taps(padded(x, op.pads), spatial, op.kernel, op.stride, ones):
        elements = tap.reshape(batch, channels, -1)
        result += np.einsum("fpc,bcp->bfp", last_axes(weight, offset), elements, optimize=True)
    result = result.reshape(batch, filters, *spatial)
    return result if bias is None else result + bias


def _dense(weight: Array, table: tuple[tuple[int, ...], ...], channels: int) -> Array:
    """The weight [filters, channels, *kernel] with zeros where the table has no connection."""
    dense = np.zeros((len(table), channels, *weight.shape[1:]), weight.dtype)
    filters = np.repeat(np.arange(len(table)), [len(row) for row in table])
    dense[filters, np.concatenate(table)] = weight
    return dense


def _biased(result: Array, params: dict[str, Array]) -> Array:
    return result + per_channel(params["bias"], result) if "bias" in params else result


KERNELS: dict[type[Operator], Kernel] = {
    Conv: conv,
    ConvTranspose: conv_transpose,
    LocalConv: local_conv,
    TiledConv: tiled_conv,
}
