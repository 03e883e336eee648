"""Locally connected layers, see `cnndsl.importers.onnx.patches`."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import natural, normal
from cnndsl.importers.onnx.operators.common import Read, weight
from cnndsl.importers.onnx.refusal import damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Value
from cnndsl.ir.attributes import Sizes
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import LocalConv


def locally_connected(site: Site) -> Value:
    """`local_conv`, its positions in one row."""
    indices, matrices = site.array(1), weight(site, 2)
    if indices.ndim != 2 or matrices.array.ndim != 3:
        raise unsupported("it gathers patches of other axes")
    node, (kernel, strides, outputs) = _map(site, indices)
    positions, patch, filters = matrices.array.shape
    if (positions, patch) != (len(indices), node.type.channels * math.prod(kernel)):
        raise damaged(f"its matrices are {[positions, patch, filters]}")
    moved = matrices.array.transpose(2, 0, 1)
    weights = {"weight": Weight(moved.reshape(filters, *outputs, node.type.channels, *kernel))}
    if site.has(3):
        bias = site.array(3)
        if bias.shape != (positions, 1, filters):
            raise unsupported(f"its bias is {list(bias.shape)}")
        weights["bias"] = Weight(bias[:, 0].T.reshape(filters, *outputs))
    op = LocalConv(filters, kernel, strides, "valid", site.has(3))
    made = site.add(op, node, weights=weights)
    batch, channels, *axes = natural(made.type.shape)
    row = normal([factor for axis in axes for factor in axis])
    return site.result(made).moved((batch, channels, row))


def _map(site: Site, indices: Array) -> tuple[Node, tuple[Sizes, Sizes, Sizes]]:
    """What the patches are of: the map that has been laid in a row, or the row."""
    x = site.value(0)
    node = site.element(x)
    batch, channels, *axes = natural(node.type.shape)
    row = normal([factor for axis in axes for factor in axis])
    whole = [node] if x.layout == (batch, channels, row) else []
    for candidate in (*whole, site.plain(x)):
        sizes = tuple(n for n in candidate.type.spatial if isinstance(n, int))
        if len(sizes) < candidate.type.rank:
            raise unsupported("it gathers patches of a map of open size")
        if found := _windows(indices, sizes):
            return candidate, found
    raise unsupported("what it gathers are no windows side by side")


def _windows(indices: Array, sizes: Sizes) -> tuple[Sizes, Sizes, Sizes] | None:
    """Kernel, strides and output sizes of windows by the places of their elements in a row."""
    if not indices.size or indices.min() < 0 or indices.max() >= math.prod(sizes):
        raise damaged("it gathers what there is not")
    corners = np.stack(np.unravel_index(indices[:, 0], sizes))
    kernel = tuple(int(axis.max()) + 1 for axis in np.unravel_index(indices[0], sizes))
    starts = [np.unique(axis) for axis in corners]
    strides = tuple(int(start[1] - start[0]) if len(start) > 1 else 1 for start in starts)
    grid = np.arange(math.prod(sizes)).reshape(sizes)
    if any(k > n for k, n in zip(kernel, sizes, strict=True)) or min(strides) < 1:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(grid, kernel)
    strided = windows[tuple(slice(None, None, step) for step in strides)]
    outputs = strided.shape[: len(sizes)]
    if not np.array_equal(strided.reshape(-1, math.prod(kernel)), indices):
        return None
    return kernel, strides, outputs


SPELT_OUT: dict[str, Read] = {"LocallyConnected": locally_connected}
