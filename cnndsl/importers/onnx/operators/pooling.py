"""Pooling over windows and whole maps, and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnndsl.importers.onnx.functions import FLOAT_MAX, made
from cnndsl.importers.onnx.layout import natural
from cnndsl.importers.onnx.operators.activation import applied
from cnndsl.importers.onnx.operators.common import (
    Read,
    along_channels,
    is_zeros,
    padding,
    without_pad,
)
from cnndsl.importers.onnx.refusal import Refusal, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.attributes import Padding, Sizes
from cnndsl.ir.graph import Node
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
    Pad,
    Sqrt,
    Square,
)
from cnndsl.ir.windows import Pads, extent


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


def _taken(
    site: Site, window: dict[str, Any], extents: Sizes, fits: Callable[[Node, Pads], bool]
) -> tuple[Node, bool]:
    """The map that a window reads, and whether a Pad before it became the padding of the window.

    It does not if the size is rounded up, for then no window starts in padding of its own, or if a
    window would lie in the padding alone.
    """

    def within(pad: Node, total: Pads) -> bool:
        small = all(max(sides) < n for sides, n in zip(total, extents, strict=True))
        return small and not window["ceil"] and fits(pad, total)

    own = window["pad"]
    node, window["pad"] = without_pad(site, site.value(0), own, within)
    return node, window["pad"] != own


def max_pool(site: Site) -> Value:
    """`maxpool`."""
    window = _window(site)
    dilation = site.sizes("dilations", len(window["kernel"]))
    extents = tuple(extent(k, r) for k, r in zip(window["kernel"], dilation, strict=True))

    def is_below(pad: Node, _: Pads) -> bool:
        """Whether no number of the map is below what it is padded with."""
        (inner,) = site.builder.graph.producers(pad)
        least = 0.0 if inner.op.sign is Sign.NONNEGATIVE else -FLOAT_MAX
        return isinstance(pad.op, Pad) and pad.op.value <= least

    node, _ = _taken(site, window, extents, is_below)
    return site.result(site.add(MaxPool(**window, dilation=dilation), node))


def average_pool(site: Site) -> Value:
    """`avgpool`."""
    window = _window(site)
    if set(site.sizes("dilations", len(window["kernel"]))) != {1}:
        raise unsupported("its window is dilated")
    counts = bool(site.whole("count_include_pad"))
    alike = counts or not _pads(window["pad"])

    def is_counted(pad: Node, total: Pads) -> bool:
        """Whether zeros are counted as the window's own padding is, if it has any."""
        return alike and is_zeros(pad, total)

    node, taken = _taken(site, window, window["kernel"], is_counted)
    return site.result(site.add(AvgPool(**window, include_pad=counts or taken), node))


def _pads(pad: Padding) -> bool:
    return pad != "valid" if isinstance(pad, str) else any(map(any, pad))


def lp_pool(site: Site) -> Value:
    """`l2pool`, of p = 2."""
    window = _window(site)
    if site.whole("p", 2) != 2 or set(site.sizes("dilations", len(window["kernel"]))) != {1}:
        raise unsupported("its p is not 2, or its window is dilated")
    node, _ = _taken(site, window, window["kernel"], is_zeros)
    return site.result(site.add(L2Pool(**window), node))


def _global(op: Operator) -> Read:
    """The whole map of each channel as one number, [batch, channels, 1, ...]."""

    def read(site: Site) -> Value:
        x = site.value(0)
        if site.builder.vector(x):
            return x
        node = site.add(op, site.plain(x))
        return site.result(node).moved((*natural(node.type.shape), *((),) * (len(x.layout) - 2)))

    read.__doc__ = f"`{op.name}`."
    return read


def _reduced(
    site: Site,
    x: Value,
    whole: Operator,
    partly: type[AdaptiveAvgPool | AdaptiveMaxPool],
    channels: Operator,
) -> Value:
    """One number for the positions of some axes, or for the channels."""
    rank = len(x.layout)
    axes = _axes(site, x)
    node = site.element(x)
    gone = sorted((f for i in axes for f in x.layout[i]), key=lambda f: (f.axis, -f.step))
    spatial = natural(node.type.shape)[2:]
    if not gone:
        reduced = node
    elif gone == [f for axis in spatial for f in axis] and spatial:
        reduced = site.add(whole, node)
    elif all((f,) in spatial for f in gone) and not node.type.is_open:
        places = [f.axis for f in gone]
        sizes = [1 if i in places else n for i, n in enumerate(node.type.sizes)]
        reduced = site.add(partly(tuple(sizes[1:])), node)
    elif len(axes) == 1:
        x, node = along_channels(site, x, axes[0])
        reduced = site.add(channels, node)
    elif len(left := [i for i in range(1, rank) if x.layout[i] and i not in axes]) == 1:
        x, node = along_channels(site, x, left[0])
        reduced = site.add(whole, node)
    else:
        raise unsupported(f"it reduces the axes {axes} of {rank}")
    layout = [() if i in axes else axis for i, axis in enumerate(x.layout)]
    if not site.whole("keepdims", 1):
        layout = [axis for i, axis in enumerate(layout) if i not in axes]
    return site.result(reduced).moved(tuple(layout))


def _axes(site: Site, x: Value) -> list[int]:
    """The axes that a reduction is about, from 0; all if none is given. Raises Refusal."""
    rank = len(x.layout)
    axes = sorted(site.axes(1, rank) or [])
    if not axes and not site.whole("noop_with_empty_axes"):
        axes = list(range(rank))
    if 0 in axes:
        raise Refusal("E0804", "it reduces the batch")
    return axes


def _mean(site: Site, x: Value) -> Value:
    return _reduced(site, x, GlobalAvgPool(), AdaptiveAvgPool, ChannelMean())


def _total(site: Site, x: Value) -> Value:
    """The mean times the number of its elements."""
    sizes = [x.shape[axis] for axis in _axes(site, x)]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) < len(sizes):
        raise unsupported("it adds up an open number of elements", "give the inputs known sizes")
    return applied(site, _mean(site, x), lambda f: made("multiply", f, float(math.prod(known))))


def reduce_mean(site: Site) -> Value:
    """`global_avgpool` over all positions, `adaptive_avgpool` over some axes, `channel_mean`."""
    return _mean(site, site.value(0))


def reduce_max(site: Site) -> Value:
    """`global_maxpool` over all positions, `adaptive_maxpool` over some axes, `channel_max`."""
    return _reduced(site, site.value(0), GlobalMaxPool(), AdaptiveMaxPool, ChannelMax())


def reduce_min(site: Site) -> Value:
    """As ReduceMax, of the negative, which is turned back."""
    negative = applied(site, site.value(0), lambda f: made("negative", f))
    most = _reduced(site, negative, GlobalMaxPool(), AdaptiveMaxPool, ChannelMax())
    return applied(site, most, lambda f: made("negative", f))


def reduce_sum(site: Site) -> Value:
    """The mean of ReduceMean, and `scale`."""
    return _total(site, site.value(0))


def reduce_l2(site: Site) -> Value:
    """The root of a sum of squares: `square`, the mean of ReduceMean, `scale` and `sqrt`."""
    return applied(site, reduce_sum_square(site), lambda f: made(Sqrt(), f))


def reduce_sum_square(site: Site) -> Value:
    """`square`, the mean of ReduceMean, and `scale`."""
    if not _axes(site, site.value(0)):
        raise unsupported("it has no axes")  # runtimes differ in whether it squares then
    return _total(site, applied(site, site.value(0), lambda f: made(Square(), f)))


OPERATORS: dict[str, Read] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": _global(GlobalAvgPool()),
    "GlobalMaxPool": _global(GlobalMaxPool()),
    "ReduceMean": reduce_mean,
    "ReduceMax": reduce_max,
    "ReduceMin": reduce_min,
    "ReduceSum": reduce_sum,
    "ReduceL2": reduce_l2,
    "ReduceSumSquare": reduce_sum_square,
}
