"""Normalisation, and scaling of channels by learned or constant numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, means, per_channel, sums
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Affine,
    BatchNorm,
    ConstantValue,
    Fixed,
    GroupNorm,
    InstanceNorm,
    L2Normalise,
    LayerNorm,
    LearnedValue,
    LocalResponseNorm,
    RmsNorm,
    Scale,
    StochasticDepth,
)
from cnndsl.runtime.module import Array


def batch_norm(op: BatchNorm, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Scale and shift by the running statistics."""
    (x,) = inputs
    factor = params["weight"] / np.sqrt(params["running_var"] + op.eps)
    centred = x - per_channel(params["running_mean"], x)
    return np.asarray(per_channel(factor, x) * centred + per_channel(params["bias"], x))


def local_response_norm(
    op: LocalResponseNorm, inputs: list[Array], params: dict[str, Array]
) -> Array:
    """Division by a power of the neighbouring channels' sum of squares."""
    (x,) = inputs
    channels = x.shape[1]
    squares = np.square(x)
    total = squares.copy()
    for distance in range(1, min(op.size // 2, channels - 1) + 1):
        total[:, distance:] += squares[:, :-distance]
        total[:, :-distance] += squares[:, distance:]
    return np.asarray(x / (op.k + op.alpha * total) ** op.beta)


def _standardised(op: Any, x: Array, runs: Array, params: dict[str, Array]) -> Array:
    """Less the mean, over the standard deviation of all but the first two axes of `runs`."""
    axes = tuple(range(2, runs.ndim))
    centred = runs - means(runs, axes, True)
    variance = means(np.square(centred), axes, True)
    result = (centred / np.sqrt(variance + op.eps)).reshape(x.shape)
    if op.affine:
        result = per_channel(params["weight"], x) * result + per_channel(params["bias"], x)
    return np.asarray(result)


def layer_norm(op: LayerNorm, inputs: list[Array], params: dict[str, Array]) -> Array:
    """By the channels of each position, brought behind the positions."""
    (x,) = inputs
    last = np.moveaxis(x, 1, -1)
    plain = replace(op, affine=False)
    result = np.moveaxis(_standardised(plain, last, last.reshape(1, -1, x.shape[1]), {}), -1, 1)
    if op.affine:
        result = per_channel(params["weight"], x) * result + per_channel(params["bias"], x)
    return np.asarray(result)


def instance_norm(op: InstanceNorm, inputs: list[Array], params: dict[str, Array]) -> Array:
    """By each map."""
    (x,) = inputs
    return _standardised(op, x, x, params)


def group_norm(op: GroupNorm, inputs: list[Array], params: dict[str, Array]) -> Array:
    """By each run of channels."""
    (x,) = inputs
    return _standardised(op, x, x.reshape(len(x), op.groups, -1), params)


def rms_norm(op: RmsNorm, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over the root mean square of axis 1."""
    (x,) = inputs
    result = x / np.sqrt(means(np.square(x), 1, True) + op.eps)
    return np.asarray(per_channel(params["weight"], x) * result if op.affine else result)


def l2_normalise(op: L2Normalise, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over the length of axis 1."""
    (x,) = inputs
    result = x / np.maximum(np.sqrt(sums(np.square(x), 1, True)), op.eps)
    return np.asarray(per_channel(params["weight"], x) * result if op.scale else result)


def affine(op: Affine, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Learned scale and shift of each channel."""
    (x,) = inputs
    scaled = per_channel(params["weight"], x) * x
    return np.asarray(scaled + per_channel(params["bias"], x) if op.bias else scaled)


def scale(op: Scale, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Constant scale and shift of each channel."""
    (x,) = inputs
    return per_channel(params["factor"], x) * x + per_channel(params["shift"], x)


def stochastic_depth(op: StochasticDepth, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Inference: the expected value of the branch."""
    return op.survival * inputs[0]


def fixed(op: Fixed, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The value, for each sample of the operand."""
    value = params["value"]
    return np.broadcast_to(value, (len(inputs[0]), *value.shape))


KERNELS: dict[type[Operator], Kernel] = {
    BatchNorm: batch_norm,
    LocalResponseNorm: local_response_norm,
    LayerNorm: layer_norm,
    InstanceNorm: instance_norm,
    GroupNorm: group_norm,
    RmsNorm: rms_norm,
    L2Normalise: l2_normalise,
    Affine: affine,
    Scale: scale,
    ConstantValue: fixed,
    LearnedValue: fixed,
    StochasticDepth: stochastic_depth,
}
