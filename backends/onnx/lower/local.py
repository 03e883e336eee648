"""Layers whose kernel changes with the position, which ONNX has not."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import (
    Lowerings,
    fixed_shape,
    onnx_pads,
    pad_spatial,
    shape_with,
    spatial_sizes,
)
from cnndsl.ir.algebra import reshape, transpose
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.operators.local import LocalConv, TiledConv
from cnndsl.runtime.module import Array


def _local_conv(site: Site, op: LocalConv) -> None:
    """A batched matrix product: [positions, batch, patch] by [positions, patch, filters]."""
    x = site.input_type
    outputs = [n for n in site.output_type.spatial if isinstance(n, int)]
    known = [n for n in x.spatial if isinstance(n, int)]
    padded = [n + sum(pad) for n, pad in zip(known, op.pads, strict=True)]
    patch, positions = x.channels * math.prod(op.kernel), math.prod(outputs)

    weight = site.params["weight"]
    order = (*range(1, len(weight.shape)), 0)
    matrices = reshape(transpose(weight, order), (positions, patch, op.filters))

    flat = pad_spatial(site, site.input, op.pads)
    if x.rank > 1:
        flat_shape = site.integers("flat_shape", [site.batch, x.channels, math.prod(padded)])
        flat = site.step("flat", "Reshape", flat, flat_shape)
    indices = site.integers("indices", _patch_indices(padded, outputs, op.kernel, op.stride))
    patches = site.step("patches", "Gather", flat, indices, axis=2)
    ordered = site.step("by_position", "Transpose", patches, perm=[2, 0, 1, 3])
    rows = site.step(
        "rows", "Reshape", ordered, site.integers("rows_shape", [0, site.batch, patch])
    )
    products = site.step("products", "MatMul", rows, site.expression("weight", matrices))
    if op.bias:
        order = (*range(1, x.rank + 1), 0)
        bias = reshape(transpose(site.params["bias"], order), (positions, 1, op.filters))
        products = site.step("biased", "Add", products, site.expression("bias", bias))
    if x.rank == 1:
        site.emit("Transpose", products, perm=[1, 2, 0])
        return
    channels_first = site.step("by_filter", "Transpose", products, perm=[1, 2, 0])
    site.emit("Reshape", channels_first, site.integers("shape", [site.batch, op.filters, *outputs]))


def _patch_indices(
    sizes: list[int], outputs: list[int], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Array:
    """[positions, kernel elements]: where each output's window lies in the flattened map."""
    flat = np.arange(math.prod(sizes)).reshape(sizes)
    windows = np.lib.stride_tricks.sliding_window_view(flat, kernel)
    strided = windows[tuple(slice(None, None, s) for s in stride)]
    return strided.reshape(math.prod(outputs), math.prod(kernel))


def _tiled_conv(site: Site, op: TiledConv) -> None:
    """One convolution with `period` times the stride makes the outputs of all tiles at once.

    The kernel of tile a starts at position a*stride of a larger kernel. The result
    [filters * tiles, ...] is then interleaved along every axis, and its end cropped.
    """
    rank, period = site.input_type.rank, op.period
    reach = [(period - 1) * s for s in op.stride]
    pads = tuple((before, after + r) for (before, after), r in zip(op.pads, reach, strict=True))
    window = {
        "kernel_shape": [k + r for k, r in zip(op.kernel, reach, strict=True)],
        "strides": [s * period for s in op.stride],
        "pads": onnx_pads(pads),
    }
    weights = [site.floats("tile_weight", _tile_kernels(site.value("weight"), op))]
    if op.bias:
        weights.append(site.floats("tile_bias", site.value("bias").ravel()))
    if period == 1:
        site.emit("Conv", site.input, *weights, **window)
        return
    tiles = site.step("tiles", "Conv", site.input, *weights, **window)
    split_shape, joined_shape = _tile_shapes(site, op, tiles)
    split = site.step("split", "Reshape", tiles, split_shape)
    pairs = [axis for a in range(rank) for axis in (2 + rank + a, 2 + a)]
    interleaved = site.step("interleaved", "Transpose", split, perm=[0, 1, *pairs])
    if any(isinstance(n, OpenDim) or n % period for n in site.output_type.spatial):
        _crop(site, op, site.step("joined", "Reshape", interleaved, joined_shape))
    else:
        site.emit("Reshape", interleaved, joined_shape)


def _tile_shapes(site: Site, op: TiledConv, tiles: str) -> tuple[str, str]:
    """The shapes with the axes of the tiles apart, [filters, *tiles, ...], and joined."""
    rank, period = site.input_type.rank, op.period
    fixed = fixed_shape(site.output_type.spatial)
    split_head, joined_head = [site.batch, op.filters, *[period] * rank], [site.batch, op.filters]
    if fixed is not None:
        counts = [n if n < 0 else math.ceil(n / period) for n in fixed]
        wholes = [n if n < 0 else n * period for n in counts]
        return (
            site.integers("split_shape", [*split_head, *counts]),
            site.integers("joined_shape", [*joined_head, *wholes]),
        )
    spatial = spatial_sizes(site, "tile_sizes", tiles)
    whole = site.step("whole_sizes", "Mul", spatial, site.integers("period", [period]))
    return (
        shape_with(site, "split_shape", split_head, spatial),
        shape_with(site, "joined_shape", joined_head, whole),
    )


def _crop(site: Site, op: TiledConv, joined: str) -> None:
    """Cut off what the last tiles have too much.

    The last reshape changes nothing; it tells shape inference what a crop at open sizes hides.
    """
    rank, sizes = site.input_type.rank, site.output_type.spatial
    starts = site.integers("crop_starts", [0] * rank)
    axes = site.integers("crop_axes", range(2, 2 + rank))
    fixed = fixed_shape(sizes)
    if fixed is not None and not site.output_type.is_open:
        site.emit("Slice", joined, starts, site.integers("sizes", fixed), axes)
        return
    stops = _output_sizes(site, op)
    cropped = site.step("cropped", "Slice", joined, starts, stops, axes)
    head = [site.batch, op.filters]
    if fixed is not None:
        shape = site.integers("shape", [*head, *fixed])
    else:
        shape = shape_with(site, "shape", head, stops)
    site.emit("Reshape", cropped, shape)


def _tile_kernels(weight: Array, op: TiledConv) -> Array:
    """[filters, *tiles, channels, *kernel] as [filters * tiles, channels, *larger kernel]."""
    rank = len(op.kernel)
    channels = weight.shape[1 + rank]
    larger = [k + (op.period - 1) * s for k, s in zip(op.kernel, op.stride, strict=True)]
    result = np.zeros((op.filters, *[op.period] * rank, channels, *larger))
    for tile in product(range(op.period), repeat=rank):
        axes = zip(tile, op.stride, op.kernel, strict=True)
        window = [slice(a * s, a * s + k) for a, s, k in axes]
        source: Any = (slice(None), *tile)
        target: Any = (*source, slice(None), *window)
        result[target] = weight[source]
    return result.reshape(-1, channels, *larger)


def _output_sizes(site: Site, op: TiledConv) -> str:
    """The spatial sizes of the result as a tensor: (n + pads - kernel) / stride + 1."""
    room = [sum(pad) - k for pad, k in zip(op.pads, op.kernel, strict=True)]
    spatial = spatial_sizes(site, "input_sizes", site.input)
    moved = site.step("room", "Add", spatial, site.integers("room_offset", room))
    steps = site.step("steps", "Div", moved, site.integers("stride", op.stride))
    return site.step("sizes", "Add", steps, site.integers("one", [1]))


LOWERINGS: Lowerings = {LocalConv: _local_conv, TiledConv: _tiled_conv}
