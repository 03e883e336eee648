"""Linear layers on codes: their weights as expressions of the weights in float."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnndsl.ir.algebra import (
    ZERO,
    along,
    broadcast,
    constant,
    divide,
    einsum,
    float32,
    largest_size,
    maximum,
    multiply,
    reshape,
    rounded,
    significant,
    subtract,
    sum_axes,
)
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, Linear
from cnndsl.ir.part import Part
from cnndsl.ir.quantisation import (
    EXACT_BITS,
    LARGEST_BIAS,
    LARGEST_WEIGHT,
    SMALLEST_SCALE,
    Quantisation,
)

Params = dict[str, Expression]


@dataclass(frozen=True)
class Scales:
    """Of a quantised model: that of each filter's weights, and shares of the codes' scales.

    The operand, of a depthwise layer, and the result have shares if their channels have scales of
    their own, see `Rounding`.
    """

    weights: Sequence[float]
    operand: Sequence[float] = ()
    result: Sequence[float] = ()


def plain_layer(op: Operator) -> Operator:
    """The operator with a bias, and its weight as a parameter."""
    if isinstance(op, Conv):
        unfixed: Any = {"weight": None}
        op = replace(op, **unfixed)
    return op.with_bias() if isinstance(op, Linear) else op


def layer_params(
    part: Part[Operator],
    source: Quantisation,
    result: Quantisation | None,
    mean: Sequence[float] | None,
    own: Scales | None = None,
) -> Params:
    """The weight and the bias as whole numbers, the scales, the multipliers.

    The scales of the filters follow from the weights if there are no `own` ones. With the `mean` of
    each channel of the operand the bias makes good for what the rounding of weights shifts the mean
    of the result by (Nagel et al. 2019, section 4.2).
    """
    weight = part.params["weight"]
    filters = weight.shape[0]
    bias = part.params.get("bias", broadcast(ZERO, (filters,)))
    scale = _weight_scale(weight, bias, source.scale) if own is None else constant([*own.weights])
    bias_scale = scale
    steps = along(scale, 0, len(weight.shape))
    whole = rounded(divide(weight, steps), LARGEST_WEIGHT)
    if mean is not None:
        bias = subtract(
            bias, mean_shift(part, subtract(multiply(whole, steps), weight), constant([*mean]))
        )
    if own and own.operand:
        bias_scale = scale = multiply(scale, constant([*own.operand]))
    if own and own.result:
        scale = divide(scale, constant([*own.result]))
    scale = float32(scale) if own else scale
    product = float32(multiply(scale, source.scale))
    multiplier = product if result is None else float32(divide(product, result.scale))
    return {
        "weight": whole,
        "bias": rounded(divide(bias, multiply(bias_scale, source.scale)), LARGEST_BIAS),
        "scale": scale,
        "multiplier": multiplier,
    }


def _weight_scale(weight: Expression, bias: Expression, source: float) -> Expression:
    """max |w| / 127 of each filter, or more where the bias would not fit."""
    largest = divide(largest_size(weight, range(1, len(weight.shape))), float(LARGEST_WEIGHT))
    needed = divide(largest_size(reshape(bias, (*bias.shape, 1)), (1,)), source * LARGEST_BIAS)
    return float32(maximum(maximum(largest, needed), SMALLEST_SCALE))


def mean_shift(part: Part[Operator], error: Expression, mean: Expression) -> Expression:
    """The mean [filters] of the products of the errors of weights with the operand.

    `part` is a convolution or a fully connected layer, `mean` that of each channel it reads.
    """
    filters, channels = error.shape[0], part.inputs[0].channels
    groups = part.op.groups if isinstance(part.op, Conv) else 1
    rest = math.prod(error.shape) // (filters * channels // groups)
    summed = sum_axes(reshape(error, (groups, filters // groups, channels // groups, rest)), (3,))
    means = reshape(mean, (groups, channels // groups))
    return reshape(einsum("gfc,gc->gf", summed, means), (filters,))


def map_params(given: Params, source: Quantisation, result: Quantisation) -> Params:
    """Factor and shift in steps of the result; the factor has 16 significant bits."""
    factor = multiply(given["weight"], source.scale / result.scale)
    params = {"weight": significant(factor, EXACT_BITS)}
    if "bias" in given:
        params["bias"] = float32(divide(given["bias"], result.scale))
    return params
