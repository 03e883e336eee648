"""Pooling over windows and whole maps, and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnndsl.importers.onnx.layout import natural
from cnndsl.importers.onnx.operators.common import (
    Read,
    along_channels,
    padded_map,
    padding,
)
from cnndsl.importers.onnx.refusal import Refusal, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.operator import Operator, Sign
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    ChannelMax,
    ChannelMean,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
)


def _window(site: Site) -> dict[str, Any]:
    rank = len(site.attribute("kernel_shape", list, []))
    if not 1 <= rank <= 3:
        raise unsupported(f"its kernel has {rank} axes")
    return {
        "kernel": site.sizes("kernel_shape", rank),
        "stride": site.sizes("strides", rank),
        "pad": padding(site, rank),
        "ceil": bool(site.whole("ceil_mode")),
    }


def max_pool(site: Site) -> Value:
    """`maxpool`."""
    window = _window(site)
    dilation = site.sizes("dilations", len(window["kernel"]))
    x = site.bare(0)
    lowest = -np.inf
    if x.fill == 0 and any(map(any, x.pads)) and _is_nonnegative(site, x):
        lowest = 0.0  # no number of the map is below what it is padded with
    node, window["pad"] = padded_map(site, x, window["pad"], lowest)
    return site.result(site.add(MaxPool(**window, dilation=dilation), node))


def _is_nonnegative(site: Site, x: Value) -> bool:
    kind = x.function.kind
    op = kind if isinstance(kind, Operator) else site.builder.graph[x.node].op
    return op.sign == Sign.NONNEGATIVE


def average_pool(site: Site) -> Value:
    """`avgpool`."""
    window = _window(site)
    if set(site.sizes("dilations", len(window["kernel"]))) != {1}:
        raise unsupported("its window is dilated")
    x = site.bare(0)
    counts = bool(site.whole("count_include_pad"))
    padded_before = any(map(any, x.pads))
    if padded_before and not counts and window["pad"] not in ("valid", ((0, 0),) * len(x.pads[1:])):
        node, padded_before = site.plain(x), False
    else:
        node, window["pad"] = padded_map(site, x, window["pad"], 0.0)
        padded_before = padded_before and site.is_bare(node, x)
    return site.result(site.add(AvgPool(**window, include_pad=counts or padded_before), node))


def lp_pool(site: Site) -> Value:
    """`l2pool`, of p = 2."""
    window = _window(site)
    if site.whole("p", 2) != 2 or set(site.sizes("dilations", len(window["kernel"]))) != {1}:
        raise unsupported("its p is not 2, or its window is dilated")
    node, window["pad"] = padded_map(site, site.bare(0), window["pad"], 0.0)
    return site.result(site.add(L2Pool(**window), node))


def _global(op: Operator) -> Read:
    """The whole map of each channel as one number, [batch, channels, 1, ...]."""

    def read(site: Site) -> Value:
        x = site.value(0)
        if site.builder.vector(x):
            return x
        made = site.add(op, site.plain(x))
        return site.result(made).moved((*natural(made.type.shape), *((),) * (len(x.layout) - 2)))

    read.__doc__ = f"`{op.name}`."
    return read


def _reduced(
    whole: Operator, partly: type[AdaptiveAvgPool | AdaptiveMaxPool], channels: Operator
) -> Read:
    """One number for the positions of some axes, or for the channels."""

    def read(site: Site) -> Value:
        x = site.value(0)
        rank = len(x.layout)
        axes = site.axes(1, rank)
        if not axes and site.whole("noop_with_empty_axes"):
            return x
        axes = list(range(rank)) if not axes else sorted(axes)
        if 0 in axes:
            raise Refusal("E0804", "it reduces the batch")
        node = site.element(x)
        gone = sorted((f for i in axes for f in x.layout[i]), key=lambda f: (f.axis, -f.step))
        spatial = natural(node.type.shape)[2:]
        if not gone:
            made = node
        elif gone == [f for axis in spatial for f in axis] and spatial:
            made = site.add(whole, node)
        elif all((f,) in spatial for f in gone) and not node.type.is_open:
            places = [f.axis for f in gone]
            sizes = [1 if i in places else n for i, n in enumerate(node.type.sizes)]
            made = site.add(partly(tuple(sizes[1:])), node)
        elif len(axes) == 1:
            x, node = along_channels(site, x, axes[0])
            made = site.add(channels, node)
        else:
            raise unsupported(f"it reduces the axes {axes} of {rank}")
        layout = [() if i in axes else axis for i, axis in enumerate(x.layout)]
        if not site.whole("keepdims", 1):
            layout = [axis for i, axis in enumerate(layout) if i not in axes]
        return site.result(made).moved(tuple(layout))

    read.__doc__ = (
        f"`{whole.name}` over all positions, `{partly.name}` over some axes, `{channels.name}`."
    )
    return read


OPERATORS: dict[str, Read] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": _global(GlobalAvgPool()),
    "GlobalMaxPool": _global(GlobalMaxPool()),
    "ReduceMean": _reduced(GlobalAvgPool(), AdaptiveAvgPool, ChannelMean()),
    "ReduceMax": _reduced(GlobalMaxPool(), AdaptiveMaxPool, ChannelMax()),
}
