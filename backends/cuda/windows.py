"""Sliding windows on three axes: what networks with fewer have is filled up in front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from cnndsl.ir.windows import Pads

Value = TypeVar("Value")


def three(values: Sequence[Value], missing: Value) -> tuple[Value, Value, Value]:
    """The values of the axes z, y, x, those in front being `missing`."""
    z, y, x = [missing] * (3 - len(values)) + list(values)
    return z, y, x


def window_constants(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], pads: Pads
) -> dict[str, int]:
    """KZ to KX, SZ to SX, DZ to DX, the padding in front PZ to PX, and the number of taps."""
    before = [pad[0] for pad in pads]
    constants = {"TAPS": math.prod(kernel)}
    for name, values, missing in (
        ("K", kernel, 1),
        ("S", stride, 1),
        ("D", dilation, 1),
        ("P", before, 0),
    ):
        sizes = three(values, missing)
        constants |= {f"{name}{axis}": n for axis, n in zip("ZYX", sizes, strict=True)}
    return constants
