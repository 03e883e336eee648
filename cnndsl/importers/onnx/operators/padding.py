"""Positions and channels that are put around a map."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.importers.onnx.functions import FLOAT_MAX
from cnndsl.importers.onnx.layout import apart, natural, together
from cnndsl.importers.onnx.operators.common import Read
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.operators import Crop, Pad, PadChannels
from cnndsl.ir.windows import Pads

MODES = ("constant", "reflect", "edge", "wrap")


def pad(site: Site) -> Value:
    """`pad`, which a convolution or pool takes in; `crop` by negative numbers; `pad_channels`."""
    x = site.value(0)
    mode = site.text("mode", "constant")
    if mode not in MODES:
        raise damaged(f"its mode is {mode!r}")
    batch, *sides = _sides(site, len(x.layout))
    if any(batch):
        raise Refusal("E0804", "it pads the batch")
    if any(count < 0 for pair in sides for count in pair):
        if any(sides[0]):
            raise unsupported("it crops the channels")
        cut = tuple((max(-a, 0), max(-b, 0)) for a, b in sides[1:])
        x = site.result(site.add(Crop(cut), site.plain(x), role="crop"))
        sides = [(max(a, 0), max(b, 0)) for a, b in sides]
    return _padded(site, x, sides, mode) if any(map(any, sides)) else x


def _sides(site: Site, rank: int) -> Pads:
    """What is put before and behind each axis; what is cut off is negative."""
    if site.opset < 11:
        given = site.integers("pads", 2 * rank) or []
        axes = list(range(rank))
    else:
        given = site.whole_numbers(1)
        axes = (site.axes(3, rank) if site.has(3) else None) or list(range(rank))
    if len(given) != 2 * len(axes):
        raise damaged(f"its pads are {given[:20]}")
    sides = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        sides[axis] = given[place], given[len(axes) + place]
    return tuple(sides)


def _padded(site: Site, x: Value, sides: list[tuple[int, int]], mode: str) -> Value:
    """The value with positions around its node, whose axes may lie in another order."""
    if len(x.layout[0]) > 1:
        made = _padded(site, x.moved(apart(x.layout)), [(0, 0), *sides], mode)
        return made.moved(together(made.layout))
    node = site.element(x)
    plain = natural(node.type.shape)
    padded = {axis: pair for axis, pair in enumerate(sides, 1) if any(pair)}
    if x.layout != plain and not all(x.layout[axis] and x.layout[axis] in plain for axis in padded):
        node = site.plain(x)
        x = replace(site.result(node), integer=x.integer)
        plain = x.layout
    own = {axis: axis if x.layout == plain else plain.index(x.layout[axis]) for axis in padded}
    around = {own[axis]: pair for axis, pair in padded.items()}
    fill = _fill(site) if mode == "constant" else 0.0
    before, after = around.pop(1, (0, 0))
    if before or (after and (fill or mode != "constant")):
        raise unsupported("it pads the channels, with more than zeros behind them")
    if after:
        node = site.add(PadChannels(node.type.channels + after), node, role="channels")
    if around:
        pads = tuple(around.get(axis, (0, 0)) for axis in range(2, len(plain)))
        node = site.add(Pad(pads, mode, fill), node)
    axes = natural(node.type.shape)
    layout = [axes[own[i]] if i in own else axis for i, axis in enumerate(x.layout)]
    return replace(site.result(node).moved(tuple(layout)), integer=x.integer)


def _fill(site: Site) -> float:
    """The number that is put in; the lowest of float32 stands for what is lower."""
    if site.opset < 11:
        return max(site.number("value", 0.0), -FLOAT_MAX)
    return max(site.scalar(2) if site.has(2) else 0.0, -FLOAT_MAX)


OPERATORS: dict[str, Read] = {"Pad": pad}
