"""Normalisation, and scaling of channels by learned or constant numbers."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, per_channel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Affine, BatchNorm, LocalResponseNorm, Scale, StochasticDepth
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


KERNELS: dict[type[Operator], Kernel] = {
    BatchNorm: batch_norm,
    LocalResponseNorm: local_response_norm,
    Affine: affine,
    Scale: scale,
    StochasticDepth: stochastic_depth,
}
