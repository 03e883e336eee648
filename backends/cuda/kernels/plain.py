"""Weighted operators as plain loops: what serves where no faster form does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, elementary
from cnndsl.backends.cuda.windows import three, window_constants
from cnndsl.backends.native.task import dense_weight, positional_weight
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, ConvTranspose, LocalConv, RadialBasis, TiledConv


def _weighted(
    call: Call[Any],
    function: str,
    weight: Expression,
    constants: dict[str, int],
    tile: tuple[str, int] = ("0", 1),
) -> Iterator[Kernel]:
    """A function of device/plain.cuh for each channel, and a bias for each channel and tile.

    `tile` is the number of the kernel that belongs to place p, and how many there are.
    """
    core = f"each_channel<Y>(v, p, [&](int c) {{ return {function}<SELF>(a, p, c)"
    weights = {"weight": weight}
    bias = call.core.params.get("bias")
    if bias is not None:
        weights["offset"] = bias
        core += " + a.offset[c * TILES + tile(p)]"
    member = f"  DEVICE int tile(const Place &p) {{ return {tile[0]}; }}\n"
    constants = {**constants, "TILES": tile[1]}
    return elementary("plain", call, f"{core}; }});", member, constants, weights)


def conv(call: Call[Conv]) -> Iterator[Kernel]:
    """Convolution of any kind."""
    op = call.op
    constants = window_constants(op.kernel, op.stride, op.dilation, op.pads)
    constants |= {"INNER": call.x.channels // op.groups, "FILTERS": op.filters // op.groups}
    return _weighted(call, "convolve", dense_weight(call), constants)


def local_conv(call: Call[LocalConv | TiledConv]) -> Iterator[Kernel]:
    """Locally connected and tiled layers: a kernel for every position, or for every few."""
    op = call.op
    rank = len(op.kernel)
    constants = window_constants(op.kernel, op.stride, (1,) * rank, op.pads)
    groups = op.groups if isinstance(op, LocalConv) else 1
    constants |= {"INNER": call.x.channels // groups, "FILTERS": op.filters // groups}
    weight = positional_weight(call)
    tiles = weight.shape[1 : 1 + rank]
    sizes = three(tiles, 1)
    wrapped = [
        f"p.{axis} % {size}" if isinstance(op, TiledConv) else f"p.{axis}"
        for axis, size in zip("zyx", sizes, strict=True)
    ]
    number = f"({wrapped[0]} * {sizes[1]} + {wrapped[1]}) * {sizes[2]} + {wrapped[2]}"
    return _weighted(call, "convolve", weight, constants, (number, math.prod(tiles)))


def conv_transpose(call: Call[ConvTranspose]) -> Iterator[Kernel]:
    """Every output gathers the input positions whose kernels reach it."""
    op = call.op
    constants = window_constants(op.kernel, op.stride, op.dilation, op.pads)
    constants |= {"INNER": call.x.channels // op.groups, "FILTERS": op.filters // op.groups}
    return _weighted(call, "convolve_back", call.weight, constants)


def radial_basis(call: Call[Any]) -> Iterator[Kernel]:
    """Squared distances from the centres."""
    return _weighted(call, "distance", call.core.params["centres"], {})


FAMILIES: Families = {
    Conv: conv,
    LocalConv: local_conv,
    TiledConv: local_conv,
    ConvTranspose: conv_transpose,
    RadialBasis: radial_basis,
}
