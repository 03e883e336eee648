"""Pooling: over windows one thread for each vector of outputs, over whole maps a block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, Launch, elementary, nearest
from cnndsl.backends.cuda.steps import number
from cnndsl.backends.cuda.windows import three, window_constants
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
)
from cnndsl.ir.operators.pooling import Pool
from cnndsl.ir.types import FLOAT32

LOWEST = -math.inf
TOGETHER = 16
"""Terms of a part of a sum, as in device/base.cuh."""
SUM = "v[i] += u[i];"
LARGEST = "v[i] = maximum(v[i], u[i]);"
AXES = "zyx"
SHARING = (64, 128, 256, 512)
"""Threads of a block to choose from that share whole maps."""
GROUPS = (8, 4, 16)
"""Vectors of channels in such a block to choose from, the usual number first."""


def _combine(statement: str, terms: int) -> str:
    """The member that adds element u at place q to the result v of the window of output p.

    Another one says whether these are sums of so many terms that parts of them are collected.
    """
    long = terms > TOGETHER and statement != LARGEST
    return (
        f"  enum {{ LONG = {int(long)} }};\n"
        "  template <int V>\n"
        "  DEVICE void combine(float (&v)[V], const float (&u)[V], const Place &p,\n"
        "                      const Place &q) {\n"
        f"    for (int i = 0; i < V; ++i) {statement}\n  }}\n"
    )


def _pooling(
    call: Call[Any],
    windows: list[str],
    terms: int,
    combine: str,
    finish: str = "",
    start: float = 0.0,
    members: str = "",
    **constants: int,
) -> Iterator[Kernel]:
    """At most `terms` elements of windows combined, which are ranges of z, y, x for output p."""
    ranges = " ".join(
        f"const Range {axis} = {window};" for axis, window in zip(AXES, windows, strict=True)
    )
    core = f"{ranges} fill(v, {number(start)}); pool<SELF>(v, a, p, z, y, x); {finish}"
    return elementary("pooling", call, core, members + _combine(combine, terms), constants)


def _sliding(
    call: Call[Pool], combine: str, finish: str = "", start: float = 0.0, members: str = ""
) -> Iterator[Kernel]:
    op = call.op
    constants = window_constants(op.kernel, op.strides, op.dilations, op.pads)
    windows = [
        f"window(p.{axis} * S{axis.upper()} - P{axis.upper()}, K{axis.upper()}, D{axis.upper()}, "
        f"X0::N{axis.upper()})"
        for axis in AXES
    ]
    terms = constants["TAPS"]
    return _pooling(call, windows, terms, combine, finish, start, members, **constants)


def maxpool(call: Call[Any]) -> Iterator[Kernel]:
    """Largest element of each window."""
    return _sliding(call, LARGEST, start=LOWEST)


def avgpool(call: Call[AvgPool]) -> Iterator[Kernel]:
    """Mean of each window: of the elements in the input, or with its padding."""
    op = call.op
    if not op.include_pad:
        return _sliding(call, SUM, _divided("counted(z) * counted(y) * counted(x)"))
    after = three([pad[1] for pad in op.pads], 0)
    counts = [
        f"counted(p.{axis} * S{axis.upper()} - P{axis.upper()}, K{axis.upper()}, P{axis.upper()}, "
        f"X0::N{axis.upper()} + {extra})"
        for axis, extra in zip(AXES, after, strict=True)
    ]
    return _sliding(call, SUM, _divided(" * ".join(counts)))


def _divided(count: str) -> str:
    return f"const float factor = 1.0f / ({count}); for (int i = 0; i < V; ++i) v[i] *= factor;"


def l2pool(call: Call[Any]) -> Iterator[Kernel]:
    """Square root of the sum of squares of each window."""
    return _sliding(call, "v[i] += u[i] * u[i];", "for (int i = 0; i < V; ++i) v[i] = sqrtf(v[i]);")


def distance_avgpool(call: Call[DistanceAvgPool]) -> Iterator[Kernel]:
    """Mean of each window weighted by the distance from its centre."""
    op = call.op
    squares = " + ".join(
        f"square(q.{axis} - p.{axis} * S{axis.upper()} + P{axis.upper()} - "
        f"(K{axis.upper()} - 1) * 0.5f)"
        for axis in AXES
    )
    weight = (
        "  DEVICE float square(float x) { return x * x; }\n"
        "  DEVICE float weight(const Place &p, const Place &q) {\n"
        f"    return expf(({squares}) * {number(-0.5 / op.sigma**2)});\n  }}\n"
    )
    total = (
        "Total total; Place q = p; for (q.z = z.first; q.z < z.end; ++q.z) "
        "for (q.y = y.first; q.y < y.end; ++q.y) for (q.x = x.first; q.x < x.end; ++q.x) "
        "total.add(weight(p, q)); "
    )
    return _sliding(
        call, "v[i] += u[i] * weight(p, q);", total + _divided("total.value()"), 0.0, weight
    )


def _adaptive(call: Call[Any]) -> tuple[list[str], int]:
    windows = [
        f"adaptive_window(p.{axis}, X0::N{axis.upper()}, Y::N{axis.upper()})" for axis in AXES
    ]
    sizes = zip(call.x.sizes, call.output.sizes, strict=True)
    return windows, math.prod(-(-size // count) + 1 for size, count in sizes)


def adaptive_avgpool(call: Call[Any]) -> Iterator[Kernel]:
    """Mean of each adaptive window."""
    return _pooling(call, *_adaptive(call), SUM, _divided("counted(z) * counted(y) * counted(x)"))


def adaptive_maxpool(call: Call[Any]) -> Iterator[Kernel]:
    """Largest element of each adaptive window."""
    return _pooling(call, *_adaptive(call), LARGEST, start=LOWEST)


def _whole(call: Call[Any], combine: str, start: float, factor: float) -> Iterator[Kernel]:
    """Each map reduced by threads that share its positions."""
    usual = 256 if call.x.positions >= 32 else 64
    members = _combine(combine, call.x.positions) + (
        f"  static constexpr float START = {number(start)};\n"
        "  template <int V>\n  DEVICE void scale(float (&v)[V]) {\n"
        f"    for (int i = 0; i < V; ++i) v[i] *= {number(factor)};\n  }}\n"
    )
    for threads, group in product(nearest(usual, SHARING), GROUPS):
        blocks = -(-call.output.blocks // group) * call.output.batch
        shared = threads * call.output.block * FLOAT32.bytes
        yield Kernel(
            "reduce",
            f"{threads} threads / {group}",
            "reduce_maps",
            Launch((blocks, 1, 1), threads, shared, cooperative=True),
            call.step_weights(),
            {"GROUP": group},
            members,
        )


def global_avgpool(call: Call[Any]) -> Iterator[Kernel]:
    """Mean of each map."""
    return _whole(call, SUM, 0.0, 1 / call.x.positions)


def global_maxpool(call: Call[Any]) -> Iterator[Kernel]:
    """Largest element of each map."""
    return _whole(call, LARGEST, LOWEST, 1.0)


FAMILIES: Families = {
    MaxPool: maxpool,
    AvgPool: avgpool,
    L2Pool: l2pool,
    DistanceAvgPool: distance_avgpool,
    GlobalAvgPool: global_avgpool,
    GlobalMaxPool: global_maxpool,
    AdaptiveAvgPool: adaptive_avgpool,
    AdaptiveMaxPool: adaptive_maxpool,
}
