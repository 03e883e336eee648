"""Convolution and fully connected layers as matrix products: on tensor cores, or in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.backends.cuda.kernel import Call, Kernel, Launch
from cnndsl.backends.cuda.machine import VECTOR
from cnndsl.backends.cuda.tiles import Choice, Product, rank_tiles
from cnndsl.backends.cuda.windows import window_constants
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, FullyConnected
from cnndsl.ir.types import FLOAT16

MERGED = 16
COLLECTED = {"fma": 512, "mma": 8192, "wgmma": 8192}
"""Products of a part of a sum by instruction; those of rounded operands are less exact anyway."""
FAMILY_OF = {"fma": "sgemm", "mma": "gemm", "wgmma": "wgmma"}
"""The family of a kernel by the instruction that multiplies."""


@dataclass(frozen=True)
class Windows:
    """A product whose rows are windows: weight [filters, channels of a group, *kernel].

    Where neighbouring groups are computed as one, `apart` is their weight before they were put
    together: sums that are not finite are computed again by it, since 0 * NaN is NaN.
    """

    weight: Expression
    groups: int
    constants: dict[str, int]
    apart: Expression | None = None


def convolution(call: Call[Conv]) -> Iterator[Kernel]:
    """Convolution; no kernels where groups are no whole vectors of channels."""
    op = call.op
    merged = _merged(op.groups, call.x.channels, op.filters, call.output.block)
    if merged is None:
        return
    constants = window_constants(op.kernel, op.stride, op.dilation, op.pads)
    constants |= {"MERGED": merged, "FILTERS_APART": op.filters // op.groups}
    apart = dense_weight(call)
    weight = _block_diagonal(apart, op.groups, merged)
    yield from _products(
        call, Windows(weight, op.groups // merged, constants, apart if merged > 1 else None)
    )


def fully_connected(call: Call[FullyConnected]) -> Iterator[Kernel]:
    """A convolution whose one window is the whole map."""
    sizes = call.x.sizes
    weight = reshape(call.weight, (call.op.units, call.x.channels, *sizes))
    constants = window_constants(sizes, (1, 1, 1), (1, 1, 1), ((0, 0),) * 3) | {"MERGED": 1}
    return _products(call, Windows(weight, 1, constants))


def _products(call: Call[Any], windows: Windows) -> Iterator[Kernel]:
    """Kernels for all tiles and splits, those with the least time in the model first."""
    for choice in rank_tiles(_shape(call, windows), call.machine):
        yield _product(call, windows, choice)


def _merged(groups: int, channels: int, filters: int, block: int) -> int | None:
    """How many neighbouring groups to compute as one so that each begins at a whole vector.

    None if that would be more than MERGED: most products would be with zeros.
    """
    divisors = [n for n in range(1, groups + 1) if groups % n == 0]
    for merged in divisors:
        aligned = channels // groups * merged % block == filters // groups * merged % block == 0
        if aligned or merged == groups:
            return merged if merged <= MERGED else None
    raise AssertionError("a number divides itself")


def _block_diagonal(weight: Expression, groups: int, merged: int) -> Expression:
    """The weight of `groups / merged` wider groups: zero between channels that did not meet."""
    if merged == 1:
        return weight
    filters, width, *kernel = weight.shape
    split = reshape(weight, (groups // merged, merged, filters // groups, width, math.prod(kernel)))
    wide = einsum("gmfct,mj->gmfjct", split, constant(np.eye(merged)))
    return reshape(wide, (filters, merged * width, *kernel))


def _vectors(call: Call[Any], windows: Windows) -> int:
    return -(-windows.weight.shape[1] // call.machine.precision.block)


def _shape(call: Call[Any], windows: Windows) -> Product:
    depth = windows.constants["TAPS"] * _vectors(call, windows) * VECTOR
    rows = call.output.batch * call.output.positions
    return Product(rows, windows.weight.shape[0] // windows.groups, windows.groups, depth)


def _product(call: Call[Any], windows: Windows, choice: Choice) -> Kernel:
    precision, tile = call.machine.precision, choice.tile
    launch = Launch(
        choice.grid,
        tile.threads,
        choice.shared,
        cluster=choice.split,
        cooperative=True,
        resident={"fma": 1, "mma": 0, "wgmma": choice.resident}[tile.unit],
    )
    return Kernel(
        FAMILY_OF[tile.unit],
        choice.name,
        "gemm",
        launch,
        {
            "weight": _packed(windows, choice, precision.block),
            **({"apart": windows.apart} if windows.apart else {}),
            **call.bias(),
            **call.step_weights(),
        },
        {
            **windows.constants,
            **_constants(call, windows, choice),
            "VECTORS": _vectors(call, windows),
        },
        f"  typedef {tile.math} Math;\n",
        frozenset({"weight"} if precision.dtype == FLOAT16 else ()),
        specific=tile.unit == "wgmma",
    )


def _constants(call: Call[Any], windows: Windows, choice: Choice) -> dict[str, int]:
    size = call.machine.precision.dtype.bytes
    return {
        "M": call.output.batch * call.output.positions,
        "INNER": windows.weight.shape[1],
        "FILTERS": call.output.padded // windows.groups,
        "BM": choice.tile.rows,
        "BN": choice.tile.columns,
        "STAGES": choice.stages,
        "STEPS": choice.steps,
        "SPLIT": choice.split,
        "PART": choice.part,
        "COLLECTED": COLLECTED[choice.tile.unit] * size // choice.tile.step,
    }


def _packed(windows: Windows, choice: Choice, block: int) -> Expression:
    """[groups, filters / columns, steps, columns, vectors of a step], filled up with zeros.

    For plain multiply-adds the last two axes are swapped.
    """
    tile, steps = choice.tile, choice.steps
    filters, width, *kernel = windows.weight.shape
    own, taps, depth = filters // windows.groups, math.prod(kernel), tile.step // VECTOR * block
    weight: Expression = reshape(windows.weight, (windows.groups, own, width, taps))
    weight = pad(weight, ((0, 0), (0, 0), (0, -width % block), (0, 0)))
    weight = transpose(weight, (0, 1, 3, 2))
    rows = weight.shape[2] * weight.shape[3]
    weight = reshape(weight, (windows.groups, own, rows))
    weight = pad(weight, ((0, 0), (0, -own % tile.columns), (0, steps * depth - rows)))
    shape: Sequence[int] = (windows.groups, -(-own // tile.columns), tile.columns, steps, depth)
    weight = reshape(weight, tuple(shape))
    return transpose(weight, (0, 1, 3, 4, 2) if tile.unit == "fma" else (0, 1, 3, 2, 4))
