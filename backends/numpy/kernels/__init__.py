"""The reference kernel of every operator, one file for each family."""

from __future__ import annotations

from cnndsl.backends.numpy.kernels import (
    activation,
    convolution,
    dense,
    fused,
    join,
    normalisation,
    pooling,
    shape,
)
from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.fused import Fused

KERNELS: dict[type[Operator], Kernel] = {
    **convolution.KERNELS,
    **pooling.KERNELS,
    **normalisation.KERNELS,
    **dense.KERNELS,
    **activation.KERNELS,
    **join.KERNELS,
    **shape.KERNELS,
}
KERNELS[Fused] = fused.fused_kernel(KERNELS)
