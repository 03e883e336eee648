"""Activations."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, means, per_channel, sums
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Abs,
    ArgMax,
    Celu,
    ChannelMax,
    ChannelMean,
    Clamp,
    Elu,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    Maxout,
    Mish,
    Power,
    PRelu,
    Reciprocal,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Sqrt,
    Square,
    Tanh,
    ThresholdedRelu,
)
from cnndsl.runtime.module import Array


def leaky_relu(op: LeakyRelu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The slope below zero is an attribute."""
    (x,) = inputs
    return np.where(x >= 0, x, op.slope * x)


def prelu(op: PRelu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The slope below zero is a parameter of each channel."""
    (x,) = inputs
    return np.where(x >= 0, x, per_channel(params["weight"], x) * x)


def elu(op: Elu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Saturates at -alpha below zero."""
    (x,) = inputs
    return np.where(x >= 0, x, op.alpha * np.expm1(x))


def celu(op: Celu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Saturates at -alpha below zero, with a slope of 1 at zero."""
    (x,) = inputs
    return np.where(x >= 0, x, op.alpha * np.expm1(x / op.alpha))


def selu(op: Selu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Saturates at -alpha * scale below zero."""
    (x,) = inputs
    return op.scale * np.where(x >= 0, x, op.alpha * np.expm1(x))


def power(op: Power, inputs: list[Array], params: dict[str, Array]) -> Array:
    """numpy's, but NaN stays NaN, and the square root of minus infinity is NaN."""
    (x,) = inputs
    result = np.sqrt(x) if op.exponent == 0.5 else np.power(x, op.exponent)
    return np.asarray(np.where(np.isnan(x), x, result))


def gelu(op: Gelu, inputs: list[Array], params: dict[str, Array]) -> Array:
    """x times the normal distribution's share below it."""
    (x,) = inputs
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    inner = np.tanh(inner) if op.tanh else _erf(x * math.sqrt(0.5)).astype(x.dtype)
    return np.asarray(x / 2 * (1 + inner))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow for large negative x."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


def hard_sigmoid(x: Array) -> Array:
    """min(max(x + 3, 0), 6) / 6."""
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


def softplus(x: Array, beta: float = 1.0) -> Array:
    """log(1 + exp(beta * x)) / beta, without overflow."""
    return np.asarray(np.logaddexp(beta * x, 0) / beta)


def softmax(op: Softmax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over axis 1, shifted by the maximum against overflow."""
    (x,) = inputs
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / sums(powers, 1, True))


def log_softmax(op: LogSoftmax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over axis 1, shifted by the maximum against overflow."""
    (x,) = inputs
    shifted = x - x.max(1, keepdims=True)
    return np.asarray(shifted - np.log(sums(np.exp(shifted), 1, True)))


def maxout(op: Maxout, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum of each run of channels."""
    (x,) = inputs
    batch, channels, *spatial = x.shape
    runs = x.reshape(batch, channels // op.pieces, op.pieces, *spatial)
    return np.asarray(runs.max(2))


def channel_max(op: ChannelMax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum over axis 1, which stays."""
    return np.asarray(inputs[0].max(1, keepdims=True))


def argmax(op: ArgMax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Number of the largest on axis 1, which stays."""
    (x,) = inputs
    return np.asarray(x.argmax(1, keepdims=True), x.dtype)


def channel_mean(op: ChannelMean, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Mean over axis 1, which stays."""
    return means(inputs[0], 1, True)


KERNELS: dict[type[Operator], Kernel] = {
    Clamp: lambda op, inputs, params: np.clip(inputs[0], op.low, op.high),
    Elu: elu,
    Gelu: gelu,
    Celu: celu,
    Selu: selu,
    Softplus: lambda op, inputs, params: softplus(inputs[0], op.beta),
    Mish: lambda op, inputs, params: inputs[0] * np.tanh(softplus(inputs[0])),
    Softsign: lambda op, inputs, params: inputs[0] / (1 + np.abs(inputs[0])),
    ThresholdedRelu: lambda op, inputs, params: np.where(inputs[0] <= op.alpha, 0, inputs[0]),
    Exp: lambda op, inputs, params: np.exp(inputs[0]),
    Log: lambda op, inputs, params: np.log(inputs[0]),
    Sqrt: lambda op, inputs, params: np.sqrt(inputs[0]),
    Abs: lambda op, inputs, params: np.abs(inputs[0]),
    Reciprocal: lambda op, inputs, params: np.reciprocal(inputs[0]),
    Square: lambda op, inputs, params: np.square(inputs[0]),
    Power: power,
    Relu: lambda op, inputs, params: np.maximum(inputs[0], 0),
    Relu6: lambda op, inputs, params: np.clip(inputs[0], 0, 6),
    LeakyRelu: leaky_relu,
    PRelu: prelu,
    Sigmoid: lambda op, inputs, params: sigmoid(inputs[0]),
    Tanh: lambda op, inputs, params: np.tanh(inputs[0]),
    Silu: lambda op, inputs, params: inputs[0] * sigmoid(inputs[0]),
    HardSigmoid: lambda op, inputs, params: np.clip(op.alpha * inputs[0] + op.beta, 0, 1),
    HardSwish: lambda op, inputs, params: inputs[0] * hard_sigmoid(inputs[0]),
    Softmax: softmax,
    LogSoftmax: log_softmax,
    Maxout: maxout,
    ArgMax: argmax,
    ChannelMax: channel_max,
    ChannelMean: channel_mean,
}
