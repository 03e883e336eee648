"""How each operator is written in standard ONNX operators: one file for each family."""

from __future__ import annotations

from cnndsl.backends.onnx.lower import (
    activation,
    attention,
    backward,
    convolution,
    dense,
    formats,
    join,
    local,
    normalisation,
    pooling,
    positions,
    resize,
    shape,
    squeeze_excite,
    structure,
)
from cnndsl.backends.onnx.lower.common import Lowering
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Quantised, SqueezeExcite

LOWERINGS: dict[type[Operator], Lowering] = {
    **activation.LOWERINGS,
    **structure.LOWERINGS,
    **convolution.LOWERINGS,
    **local.LOWERINGS,
    **pooling.LOWERINGS,
    **normalisation.LOWERINGS,
    **dense.LOWERINGS,
    **join.LOWERINGS,
    **positions.LOWERINGS,
    **resize.LOWERINGS,
    **attention.LOWERINGS,
    **shape.LOWERINGS,
    **formats.LOWERINGS,
    **backward.LOWERINGS,
}
LOWERINGS[Quantised] = formats.quantised_lowering(LOWERINGS)
LOWERINGS[SqueezeExcite] = squeeze_excite.squeeze_excite_lowering(LOWERINGS)
"""Every operator that a graph can hold."""
