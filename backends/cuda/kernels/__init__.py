"""Which kernels compute an operator: one file for each family."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Family, Kernel
from cnndsl.backends.cuda.kernels import (
    attention,
    channels,
    elementwise,
    gemm,
    grouped,
    groupwise,
    plain,
    pooling,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, FullyConnected

FAMILIES: Families = {
    **elementwise.FAMILIES,
    **channels.FAMILIES,
    **groupwise.FAMILIES,
    **attention.FAMILIES,
    **pooling.FAMILIES,
    **plain.FAMILIES,
    FullyConnected: gemm.fully_connected,
}

FAST: dict[type[Operator], tuple[Family, ...]] = {
    Conv: (grouped.grouped, gemm.convolution),
}
"""Faster families, the best first; where all of them decline, that of FAMILIES serves."""


def candidates(call: Call[Any]) -> Iterator[Kernel]:
    """The kernels to choose from for a call, first the one that is taken without measurements."""
    fast = chain.from_iterable(family(call) for family in FAST.get(type(call.op), ()))
    first = next(fast, None)
    return FAMILIES[type(call.op)](call) if first is None else chain((first,), fast)


def choose(call: Call[Any], variant: str | None = None) -> Kernel:
    """The kernel of that name, or else the first."""
    if variant is not None:
        for kernel in candidates(call):
            if kernel.variant == variant:
                return kernel
    return next(candidates(call))
