"""Pooling over windows, whole maps, and to a given size.

Windows that reach beyond the padded input (`ceil`) are written as more padding after it:
runtimes disagree on what ONNX's ceil_mode drops and divides by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import (
    Lowerings,
    onnx_pads,
    pad_spatial,
    shape_with,
    spatial_sizes,
)
from cnndsl.ir.operators.backward import MaxPoolGradient
from cnndsl.ir.operators.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AdaptivePool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
    Pool,
)
from cnndsl.ir.windows import Pads, extent
from cnndsl.runtime.module import Array


def _overhang(op: Pool) -> Pads:
    """Padding after the padded input, (0, count) for each axis, for the windows that `ceil` adds.

    stride-1 positions turn the floor of the output size into a ceiling. Fewer make up the last
    window that starts in the input or before; none may start later.
    """
    axes = zip(op.kernel, op.strides, op.dilations, op.pads, strict=True)
    counts = (min(s - 1, extent(k, r) - 1 - after) for k, s, r, (_, after) in axes)
    return tuple((0, count if op.ceil else 0) for count in counts)


def _all_pads(op: Pool) -> Pads:
    pairs = zip(op.pads, _overhang(op), strict=True)
    return tuple((before, after + more) for (before, after), (_, more) in pairs)


def _window(op: Pool, pads: Pads) -> dict[str, Any]:
    return {"kernel_shape": op.kernel, "strides": op.strides, "pads": onnx_pads(pads)}


def _maxpool(site: Site, op: MaxPool) -> None:
    """Padding that is not smaller than the kernel, which a dilation allows, needs an own node."""
    x, pads = site.input, _all_pads(op)
    if any(max(pad) >= k for pad, k in zip(pads, op.kernel, strict=True)):
        x = pad_spatial(site, x, pads, -np.inf)
        pads = ((0, 0),) * len(pads)
    site.emit("MaxPool", x, dilations=op.dilations, **_window(op, pads))


def _maxpool_gradient(site: Site, op: MaxPoolGradient) -> None:
    """Scattered to the places that ONNX's max pool tells, which count through the whole tensor."""
    x, g = site.inputs
    pads = _all_pads(op.op)
    padded = pad_spatial(site, x, pads, -np.inf)
    window = _window(op.op, ((0, 0),) * len(pads))
    places = site.places("largest", "MaxPool", padded, dilations=op.op.dilations, **window)
    flat = site.integers("flat_shape", [-1])
    numbers, indices = (
        site.step(f"flat_{role}", "Reshape", tensor, flat)
        for role, tensor in (("numbers", g), ("places", places))
    )
    shape = site.step("shape", "Shape", padded)
    zero = helper.make_tensor("value", site.element, [1], [0.0])
    zeros = site.step("zeros", "ConstantOfShape", shape, value=zero)
    cells = site.step("cells", "Reshape", zeros, flat)
    found = site.step("found", "ScatterElements", cells, indices, numbers, axis=0, reduction="add")
    if not any(onnx_pads(pads)):
        site.emit("Reshape", found, shape)
        return
    whole, sizes = site.step("whole", "Reshape", found, shape), site.output_type.sizes[1:]
    starts = [before for before, _ in pads]
    ends = [before + n for before, n in zip(starts, sizes, strict=True)]
    axes = site.integers("axes", range(2, 2 + len(pads)))
    site.emit("Slice", whole, site.integers("starts", starts), site.integers("ends", ends), axes)


def _avgpool(site: Site, op: AvgPool) -> None:
    """Padding that counts is written out: several runtimes divide wrongly by themselves."""
    if op.include_pad:
        x, pads = pad_spatial(site, site.input, op.pads), _overhang(op)
    else:
        x, pads = site.input, _all_pads(op)
    site.emit("AveragePool", x, count_include_pad=0, **_window(op, pads))


def _l2pool(site: Site, op: L2Pool) -> None:
    """The mean of the squares times their number: few runtimes have LpPool."""
    squares = site.step("squares", "Mul", site.input, site.input)
    padded = pad_spatial(site, squares, _all_pads(op))
    window = _window(op, ((0, 0),) * len(op.pads))
    mean = site.step("mean", "AveragePool", padded, count_include_pad=0, **window)
    total = site.step("sum", "Mul", mean, site.floats("count", [math.prod(op.kernel)]))
    site.emit("Sqrt", total)


def _distance_avgpool(site: Site, op: DistanceAvgPool) -> None:
    """A depthwise convolution with the weights; at borders divided by that of an all-one map."""
    channels, pads = site.input_type.channels, _all_pads(op)
    weights = _gaussian(op)
    weights /= weights.sum()
    kernels = site.floats("kernels", np.broadcast_to(weights, (channels, 1, *op.kernel)))
    window = _window(op, pads)
    if not any(onnx_pads(pads)):
        site.emit("Conv", site.input, kernels, group=channels, **window)
        return
    total = site.step("total", "Conv", site.input, kernels, group=channels, **window)
    if site.input_type.is_open:
        share = _computed_share(site, weights, window)
    else:
        share = site.floats("share", _share(site, op, weights, pads))
    site.emit("Div", total, share)


def _share(site: Site, op: DistanceAvgPool, weights: Array, pads: Pads) -> Array:
    """For each output the sum of the weights that lie within the input."""
    sizes = [n for n in site.input_type.spatial if isinstance(n, int)]
    inside = np.pad(np.ones(sizes), pads)
    windows = np.lib.stride_tricks.sliding_window_view(inside, op.kernel)
    strided = windows[tuple(slice(None, None, s) for s in op.strides)]
    result: Array = np.tensordot(strided, weights, weights.ndim)
    return result


def _computed_share(site: Site, weights: Array, window: dict[str, Any]) -> str:
    """The same for open sizes: a convolution of an all-one map."""
    spatial = spatial_sizes(site, "spatial", site.input)
    ones_shape = shape_with(site, "ones_shape", [1, 1], spatial)
    one = helper.make_tensor("value", site.element, [1], [1.0])
    ones = site.step("ones", "ConstantOfShape", ones_shape, value=one)
    kernel = site.floats("kernel", weights[None, None])
    return site.step("share", "Conv", ones, kernel, **window)


def _gaussian(op: DistanceAvgPool) -> Array:
    """exp(-d^2 / (2 sigma^2)), d the distance from the window's centre."""
    offsets = np.meshgrid(*(np.arange(k) - (k - 1) / 2 for k in op.kernel), indexing="ij")
    result: Array = np.exp(-sum(np.square(offset) for offset in offsets) / (2 * op.sigma**2))
    return result


def _global_avgpool(site: Site, op: GlobalAvgPool) -> None:
    site.emit("Flatten", site.step("mean", "GlobalAveragePool", site.input), axis=1)


def _global_maxpool(site: Site, op: GlobalMaxPool) -> None:
    site.emit("Flatten", site.step("largest", "GlobalMaxPool", site.input), axis=1)


def _adaptive_avgpool(site: Site, op: AdaptiveAvgPool) -> None:
    _adaptive(site, op, "AveragePool", "ReduceMean")


def _adaptive_maxpool(site: Site, op: AdaptiveMaxPool) -> None:
    _adaptive(site, op, "MaxPool", "ReduceMax")


def _adaptive(site: Site, op: AdaptivePool, pool: str, reduce: str) -> None:
    """One pooling of all axes whose size the output size divides, then the other axes in turn."""
    if site.input_type.is_open:
        _adaptive_open(site, op, pool, reduce)
        return
    sizes = [n for n in site.input_type.spatial if isinstance(n, int)]
    window = [1 if n % o else n // o for n, o in zip(sizes, op.size, strict=True)]
    uneven = [a for a, (n, o) in enumerate(zip(sizes, op.size, strict=True)) if n % o]
    x = site.input
    if not uneven:
        site.emit(pool, x, kernel_shape=window, strides=window)
    elif max(window) > 1:
        x = site.step("even", pool, x, kernel_shape=window, strides=window)
    for axis in uneven:
        windows = [op.window(i, sizes[axis], op.size[axis]) for i in range(op.size[axis])]
        reduced = {w: _reduced(site, reduce, x, axis, w) for w in dict.fromkeys(windows)}
        parts = [reduced[window] for window in windows]
        if axis == uneven[-1]:
            site.emit("Concat", *parts, axis=2 + axis)
        else:
            x = site.step(f"axis{axis}", "Concat", *parts, axis=2 + axis)


def _adaptive_open(site: Site, op: AdaptivePool, pool: str, reduce: str) -> None:
    """One axis after another, with windows that are computed from its size."""
    if set(op.size) == {1}:
        site.emit(f"Global{pool}", site.input)
        return
    x, last = site.input, len(op.size) - 1
    for axis, outputs in enumerate(op.size):
        if outputs == 1:
            parts = [site.step(f"axis{axis}_0", reduce, x, axes=[2 + axis], keepdims=1)]
        else:
            bounds = _bounds(site, x, axis, outputs)
            along = site.integers(f"axis{axis}_along", [2 + axis])
            parts = [_computed(site, reduce, x, axis, i, bounds, along) for i in range(outputs)]
        if axis == last:
            site.emit("Concat", *parts, axis=2 + axis)
        else:
            x = site.step(f"axis{axis}", "Concat", *parts, axis=2 + axis)


def _bounds(site: Site, x: str, axis: int, outputs: int) -> list[str]:
    """Starts and ends of all windows of an axis: floor(i*n/o), ceil((i+1)*n/o)."""
    shape = site.step(f"axis{axis}_shape", "Shape", x)
    n = site.step(f"axis{axis}_size", "Gather", shape, site.integers(f"axis{axis}_at", [2 + axis]))
    divisor = site.integers(f"axis{axis}_outputs", [outputs])
    starts, ends = (
        site.step(f"axis{axis}_{name}s", "Mul", n, site.integers(f"axis{axis}_{name}", numbers))
        for name, numbers in (("start", range(outputs)), ("end", range(1, outputs + 1)))
    )
    more = site.integers(f"axis{axis}_more", [outputs - 1])
    up = site.step(f"axis{axis}_up", "Add", ends, more)
    return [
        site.step(f"axis{axis}_a", "Div", starts, divisor),
        site.step(f"axis{axis}_b", "Div", up, divisor),
    ]


def _computed(
    site: Site, reduce: str, x: str, axis: int, i: int, bounds: Sequence[str], along: str
) -> str:
    """Window i of one axis, reduced to one position; `bounds` are the tensors of all."""
    role = f"axis{axis}_{i}"
    number = site.integers(f"{role}_number", [i])
    ends = [
        site.step(f"{role}_{name}", "Gather", each, number)
        for name, each in zip("ab", bounds, strict=True)
    ]
    part = site.step(f"{role}_part", "Slice", x, *ends, along)
    return site.step(role, reduce, part, axes=[2 + axis], keepdims=1)


def _reduced(site: Site, reduce: str, x: str, axis: int, window: tuple[int, int]) -> str:
    """A window of one axis, reduced to one position."""
    role = f"axis{axis}_{window[0]}_{window[1]}"
    bounds = [site.integers(f"{role}_{name}", [n]) for name, n in zip("ab", window, strict=True)]
    part = site.step(f"{role}_part", "Slice", x, *bounds, site.integers(f"{role}_axis", [2 + axis]))
    return site.step(role, reduce, part, axes=[2 + axis], keepdims=1)


LOWERINGS: Lowerings = {
    MaxPool: _maxpool,
    MaxPoolGradient: _maxpool_gradient,
    AvgPool: _avgpool,
    L2Pool: _l2pool,
    DistanceAvgPool: _distance_avgpool,
    GlobalAvgPool: _global_avgpool,
    GlobalMaxPool: _global_maxpool,
    AdaptiveAvgPool: _adaptive_avgpool,
    AdaptiveMaxPool: _adaptive_maxpool,
}
