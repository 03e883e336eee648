"""Layers whose kernel changes with the position, which ONNX has not."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import (
    INT64_MAX,
    Lowerings,
    fixed_shape,
    onnx_pads,
    pad_spatial,
    shape_with,
    spatial_sizes,
)
from cnndsl.ir.algebra import embed_table, reshape, transpose
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.operators.local import LocalConv, TiledConv
from cnndsl.runtime.module import Array


def _local_conv(site: Site, op: LocalConv) -> None:
    """A batched matrix product: [positions, batch, patch] by [positions, patch, filters].

    With groups there is one for each, their channels being neighbours in a patch.
    """
    x, groups = site.input_type, op.groups
    outputs = [n for n in site.output_type.spatial if isinstance(n, int)]
    patch, positions = x.channels // groups * math.prod(op.kernel), math.prod(outputs)
    split, own = [groups] if groups > 1 else [], op.filters // groups

    weight = site.params["weight"]
    if op.table is not None:
        weight = embed_table(weight, op.table, x.channels, tiles=x.rank)
    by_position = transpose(reshape(weight, (groups, own, positions, patch)), (2, 0, 3, 1))
    matrices = reshape(by_position, (positions, *split, patch, own))

    shape = site.integers("rows_shape", [0, *split, site.batch, patch])
    rows = site.step("rows", "Reshape", _patches(site, op, outputs, split), shape)
    products = site.step("products", "MatMul", rows, site.expression("weight", matrices))
    if op.bias:
        by_position = transpose(reshape(site.params["bias"], (op.filters, positions)), (1, 0))
        bias = reshape(by_position, (positions, *split, 1, own))
        products = site.step("biased", "Add", products, site.expression("bias", bias))
    perm = [2, 1, 3, 0] if split else [1, 2, 0]
    if x.rank == 1 and not split:
        site.emit("Transpose", products, perm=perm)
        return
    channels_first = site.step("by_filter", "Transpose", products, perm=perm)
    site.emit("Reshape", channels_first, site.integers("shape", [site.batch, op.filters, *outputs]))


def _patches(site: Site, op: LocalConv, outputs: list[int], split: list[int]) -> str:
    """[positions, *split, batch, channels of a group, kernel elements]."""
    x = site.input_type
    known = [n for n in x.spatial if isinstance(n, int)]
    padded = [n + sum(pad) for n, pad in zip(known, op.pads, strict=True)]
    flat = pad_spatial(site, site.input, op.pads)
    if x.rank > 1 or split:
        sizes = [site.batch, *split, x.channels // op.groups, math.prod(padded)]
        flat = site.step("flat", "Reshape", flat, site.integers("flat_shape", sizes))
    indices = site.integers("indices", _patch_indices(padded, outputs, op.kernel, op.stride))
    patches = site.step("patches", "Gather", flat, indices, axis=2 + len(split))
    perm = [3, 1, 0, 2, 4] if split else [2, 0, 1, 3]
    return site.step("by_position", "Transpose", patches, perm=perm)


def _patch_indices(
    sizes: list[int], outputs: list[int], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Array:
    """[positions, kernel elements]: where each output's window lies in the flattened map."""
    flat = np.arange(math.prod(sizes)).reshape(sizes)
    windows = np.lib.stride_tricks.sliding_window_view(flat, kernel)
    strided = windows[tuple(slice(None, None, s) for s in stride)]
    return strided.reshape(math.prod(outputs), math.prod(kernel))


def _tiled_conv(site: Site, op: TiledConv) -> None:
    """A convolution with `period` times the stride makes the outputs of each tile.

    That of tile a starts at position a*stride. The results [*tiles, filters, ...] are interleaved
    along every axis, and the end is cropped.
    """
    rank, period = site.input_type.rank, op.period
    window = {"kernel_shape": op.kernel, "strides": [s * period for s in op.stride]}
    if period == 1:
        weights = _tile_weights(site, op, (0,) * rank)
        site.emit("Conv", site.input, *weights, pads=onnx_pads(op.pads), **window)
        return
    reach = [(period - 1) * s for s in op.stride]
    pads = tuple((before, after + r) for (before, after), r in zip(op.pads, reach, strict=True))
    padded = pad_spatial(site, site.input, pads)
    axes = site.integers("axes", range(2, 2 + rank))
    tiles = []
    for tile in product(range(period), repeat=rank):
        name = "_".join(map(str, tile))
        start = [a * s for a, s in zip(tile, op.stride, strict=True)]
        end = [a - r or INT64_MAX for a, r in zip(start, reach, strict=True)]
        bounds = site.integers(f"start_{name}", start), site.integers(f"end_{name}", end)
        x = site.step(f"input_{name}", "Slice", padded, *bounds, axes)
        weights = _tile_weights(site, op, tile)
        tiles.append(site.step(f"tile_{name}", "Conv", x, *weights, **window))
    joined = site.step("tiles", "Concat", *tiles, axis=1)
    split_shape, joined_shape = _tile_shapes(site, op, joined)
    split = site.step("split", "Reshape", joined, split_shape)
    pairs = [axis for a in range(rank) for axis in (2 + rank + a, 1 + a)]
    interleaved = site.step("interleaved", "Transpose", split, perm=[0, 1 + rank, *pairs])
    if any(isinstance(n, OpenDim) or n % period for n in site.output_type.spatial):
        _crop(site, op, site.step("joined", "Reshape", interleaved, joined_shape))
    else:
        site.emit("Reshape", interleaved, joined_shape)


def _tile_weights(site: Site, op: TiledConv, tile: tuple[int, ...]) -> list[str]:
    """The kernel [filters, channels, *kernel] of one tile, and its bias."""
    roles = ["weight", "bias"] if op.bias else ["weight"]
    name = "_".join(map(str, tile))
    at: Any = (slice(None), *tile)
    return [site.floats(f"{role}_{name}", site.value(role)[at]) for role in roles]


def _tile_shapes(site: Site, op: TiledConv, tiles: str) -> tuple[str, str]:
    """The shapes with the axes of the tiles apart, [*tiles, filters, ...], and joined."""
    rank, period = site.input_type.rank, op.period
    fixed = fixed_shape(site.output_type.spatial)
    split_head, joined_head = [site.batch, *[period] * rank, op.filters], [site.batch, op.filters]
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


def _output_sizes(site: Site, op: TiledConv) -> str:
    """The spatial sizes of the result as a tensor: (n + pads - kernel) / stride + 1."""
    room = [sum(pad) - k for pad, k in zip(op.pads, op.kernel, strict=True)]
    spatial = spatial_sizes(site, "input_sizes", site.input)
    moved = site.step("room", "Add", spatial, site.integers("room_offset", room))
    steps = site.step("steps", "Div", moved, site.integers("stride", op.stride))
    return site.step("sizes", "Add", steps, site.integers("one", [1]))


LOWERINGS: Lowerings = {LocalConv: _local_conv, TiledConv: _tiled_conv}
