"""Which kernels compute an operator: one file for each family."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.backends.tvm.kernel import Call, Kernel
from cnndsl.backends.tvm.kernels import channels, elementwise, plain, pooling
from cnndsl.ir.operator import Operator

FAMILIES: dict[type[Operator], Callable[[Call], Kernel]] = {
    **elementwise.FAMILIES,
    **channels.FAMILIES,
    **pooling.FAMILIES,
    **plain.FAMILIES,
}


def choose(call: Call) -> Kernel:
    """The kernel for a call."""
    return FAMILIES[type(call.core)](call)
