"""Fused operators: the kernels of their parts, one after another."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.fused import Fused, part_params
from cnndsl.runtime.module import Array


def fused_kernel(kernels: Mapping[type[Operator], Kernel]) -> Kernel:
    """The kernel of fused operators, from those of their parts."""

    def kernel(op: Fused, inputs: list[Array], params: dict[str, Array]) -> Array:
        value, *others = inputs
        waiting = iter(others)
        for label, part in op.labelled():
            operands = [value, next(waiting)] if part.operands is None else [value]
            value = kernels[type(part)](part, operands, part_params(params, label))
        return value

    return kernel
