"""Pooling over windows, whole maps, and to a given size.

Windows that reach beyond the padded input (`ceil`) are written as more padding after it:
runtimes disagree on what ONNX's ceil_mode drops and divides by.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, onnx_pads, pad_spatial, shape_with
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


def _avgpool(site: Site, op: AvgPool) -> None:
    """Padding that counts is written out where windows reach beyond it, which does not count.

    So is padding that differs between sides or axes: onnxruntime 1.21 to 1.24 divides wrongly.
    """
    x, over = site.input, _overhang(op)
    if op.include_pad and (any(onnx_pads(over)) or len(set(onnx_pads(op.pads))) > 1):
        padded = pad_spatial(site, x, op.pads)
        site.emit("AveragePool", padded, count_include_pad=0, **_window(op, over))
    else:
        window = _window(op, _all_pads(op))
        site.emit("AveragePool", x, count_include_pad=int(op.include_pad), **window)


def _l2pool(site: Site, op: L2Pool) -> None:
    site.emit("LpPool", site.input, p=2, **_window(op, _all_pads(op)))


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
    spatial = site.step("spatial", "Shape", site.input, start=2)
    ones_shape = shape_with(site, "ones_shape", [1, 1], spatial)
    one = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
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
    if not _even_windows(site, op, "AveragePool"):
        _uneven_windows(site, op, "ReduceSum")


def _adaptive_maxpool(site: Site, op: AdaptiveMaxPool) -> None:
    if not _even_windows(site, op, "MaxPool"):
        _uneven_windows(site, op, "ReduceMax")


def _even_windows(site: Site, op: AdaptivePool, kind: str) -> bool:
    """Write the pooling operator `kind` if the output size divides the input size."""
    sizes = [n for n in site.input_type.spatial if isinstance(n, int)]
    if any(n % outputs for n, outputs in zip(sizes, op.size, strict=True)):
        return False
    window = [n // outputs for n, outputs in zip(sizes, op.size, strict=True)]
    site.emit(kind, site.input, kernel_shape=window, strides=window)
    return True


def _uneven_windows(site: Site, op: AdaptivePool, kind: str) -> None:
    """Gather the windows of one axis after the other, all of the longest's length, and reduce.

    Shorter windows repeat their last element, which changes no maximum and has weight 0 in means.
    """
    x, rank = site.input, site.input_type.rank
    for a in range(rank):
        n = site.input_type.spatial[a]
        assert isinstance(n, int)
        starts, ends = np.array([op.window(i, n, op.size[a]) for i in range(op.size[a])]).T
        steps = starts[:, None] + np.arange((ends - starts).max())
        indices = site.integers(f"indices{a}", np.minimum(steps, ends[:, None] - 1))
        x = site.step(f"windows{a}", "Gather", x, indices, axis=2 + a)
        if kind == "ReduceSum":
            shares = (steps < ends[:, None]) / (ends - starts)[:, None]
            spread = shares.reshape(*shares.shape, *[1] * (rank - a - 1))
            x = site.step(f"shares{a}", "Mul", x, site.floats(f"weights{a}", spread))
        axes = site.integers(f"axes{a}", [3 + a])
        if a < rank - 1:
            x = site.step(f"reduced{a}", kind, x, axes, keepdims=0)
        else:
            site.emit(kind, x, axes, keepdims=0)


LOWERINGS: Lowerings = {
    MaxPool: _maxpool,
    AvgPool: _avgpool,
    L2Pool: _l2pool,
    DistanceAvgPool: _distance_avgpool,
    GlobalAvgPool: _global_avgpool,
    GlobalMaxPool: _global_maxpool,
    AdaptiveAvgPool: _adaptive_avgpool,
    AdaptiveMaxPool: _adaptive_maxpool,
}
