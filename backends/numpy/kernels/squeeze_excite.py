"""Squeeze-and-excitation: the kernels of its parts, one after another."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Mul, SqueezeExcite
from cnndsl.runtime.module import Array


def squeeze_excite_kernel(kernels: Mapping[type[Operator], Kernel]) -> Kernel:
    """The kernel of the operator, from those of its parts."""

    def kernel(op: SqueezeExcite, inputs: list[Array], params: dict[str, Array]) -> Array:
        (x,) = inputs
        factors = x
        for part in op.factor_parts(x.shape[1]):
            own = {role: params[name] for role, name in part.roles.items()}
            factors = kernels[type(part.op)](part.op, [factors], own)
        return kernels[Mul](Mul(), [x, factors], {})

    return kernel
