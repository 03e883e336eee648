"""Which kernels compute an operator: one file for each family."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.backends.tvm.kernel import Call, Kernel
from cnndsl.backends.tvm.kernels import (
    channels,
    direct,
    elementwise,
    grouped,
    moves,
    plain,
    pooling,
    squeeze_excite,
    winograd,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, FullyConnected

FAMILIES: dict[type[Operator], Callable[[Call], Kernel]] = {
    **elementwise.FAMILIES,
    **channels.FAMILIES,
    **moves.FAMILIES,
    **pooling.FAMILIES,
    **plain.FAMILIES,
    **squeeze_excite.FAMILIES,
}


FAST: dict[type[Operator], tuple[Callable[[Call], Kernel | None], ...]] = {
    Conv: (grouped.grouped, winograd.winograd, direct.direct),
    FullyConnected: (direct.direct,),
}
"""Faster kernels, the best first, each of which may decline."""


def choose(call: Call) -> Kernel:
    """The kernel for a call."""
    for family in FAST.get(type(call.core), ()):
        kernel = family(call)
        if kernel is not None:
            return kernel
    return FAMILIES[type(call.core)](call)
