"""What several families share: padding, windows, constants for each channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import Axis, Factor, normal
from cnndsl.importers.onnx.refusal import damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Known, Tensor, Value
from cnndsl.ir.attributes import Padding
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Pad
from cnndsl.ir.windows import Pads

Read: TypeAlias = Callable[[Site], Tensor | list[Tensor]]
"""Reads a node of the model: makes nodes of the graph, and returns its results."""

MODES = {
    "NOTSET": None,
    "": None,
    "VALID": "valid",
    "SAME_UPPER": "same_upper",
    "SAME_LOWER": "same_lower",
}


def padding(site: Site, rank: int) -> Padding:
    """The padding of a window, by mode or by numbers."""
    mode = site.text("auto_pad", "NOTSET")
    if mode not in MODES:
        raise damaged(f"its auto_pad is {mode!r}")
    if MODES[mode] is not None:
        return str(MODES[mode])
    pads = site.integers("pads", 2 * rank) or [0] * (2 * rank)
    if any(not 0 <= count < 2**31 for count in pads):
        raise unsupported(f"its pads are {pads}")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def weight(site: Site, place: int) -> Weight:
    """A constant operand as the numbers of a parameter."""
    return weight_of(site.known(place), site.array(place))


def weight_of(known: Known, array: Array) -> Weight:
    """Numbers of a constant, moved or not, as those of a parameter."""
    if not np.issubdtype(array.dtype, np.floating):
        raise unsupported(f"its weights are {array.dtype}")
    return Weight(array.astype(np.float32, copy=False), known.origin, known.steps)


def channels_of(node: Node) -> Axis:
    """The axis of the channels of a node."""
    return normal([Factor(0, node.type.channels)])


def along_channels(site: Site, value: Value, axis: int = 1) -> tuple[Value, Node]:
    """The value with the channels of its node as the axis, wherever the others are; the node."""
    facing = site.builder.facing(value, axis)
    return facing, site.element(facing)


def without_pad(
    site: Site, value: Value, pad: Padding, fits: Callable[[Node, Pads], bool]
) -> tuple[Node, Padding]:
    """A map for a window to read, and the window's padding with that of a Pad before the map.

    A Pad stays a step of its own before a mode that depends on the size, and where what it is made
    of and the padding that there would be in all do not fit.
    """
    node = site.plain(value)
    while isinstance(node.op, Pad) and node.op.fill is not None:
        if isinstance(pad, str) and pad != "valid":
            break
        own = ((0, 0),) * len(node.op.pads) if isinstance(pad, str) else pad
        if len(own) != len(node.op.pads):
            raise damaged(f"its window has {len(own)} axes, its operand {len(node.op.pads)}")
        total = tuple((a + c, b + d) for (a, b), (c, d) in zip(own, node.op.pads, strict=True))
        if not fits(node, total):
            break
        pad = total
        (node,) = site.builder.graph.producers(node)
    return node, pad


def is_zeros(pad: Node, _: Pads) -> bool:
    """Whether a Pad puts zeros around a map."""
    return isinstance(pad.op, Pad) and pad.op.fill == 0
