"""The reference kernel of every operator, one file for each family."""

from __future__ import annotations

from cnndsl.backends.numpy.kernels import (
    activation,
    attention,
    backward,
    convolution,
    dense,
    formats,
    join,
    normalisation,
    pooling,
    positions,
    shape,
    squeeze_excite,
)
from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Quantised, SqueezeExcite

KERNELS: dict[type[Operator], Kernel] = {
    **convolution.KERNELS,
    **pooling.KERNELS,
    **normalisation.KERNELS,
    **dense.KERNELS,
    **activation.KERNELS,
    **join.KERNELS,
    **positions.KERNELS,
    **attention.KERNELS,
    **shape.KERNELS,
    **formats.KERNELS,
    **backward.KERNELS,
}
KERNELS[SqueezeExcite] = squeeze_excite.squeeze_excite_kernel(KERNELS)
KERNELS[Quantised] = formats.quantised_kernel(KERNELS)
