"""Activations."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, per_channel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    ChannelMax,
    Clamp,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Maxout,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
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


def softmax(op: Softmax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Over axis 1, shifted by the maximum against overflow."""
    (x,) = inputs
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def maxout(op: Maxout, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum of each run of channels."""
    (x,) = inputs
    batch, channels, *spatial = x.shape
    runs = x.reshape(batch, channels // op.pieces, op.pieces, *spatial)
    return np.asarray(runs.max(2))


def channel_max(op: ChannelMax, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Maximum over axis 1, which stays."""
    return np.asarray(inputs[0].max(1, keepdims=True))


KERNELS: dict[type[Operator], Kernel] = {
    Clamp: lambda op, inputs, params: np.clip(inputs[0], op.low, op.high),
    Elu: elu,
    Gelu: gelu,
    Softplus: lambda op, inputs, params: np.logaddexp(op.beta * inputs[0], 0) / op.beta,
    Relu: lambda op, inputs, params: np.maximum(inputs[0], 0),
    Relu6: lambda op, inputs, params: np.clip(inputs[0], 0, 6),
    LeakyRelu: leaky_relu,
    PRelu: prelu,
    Sigmoid: lambda op, inputs, params: sigmoid(inputs[0]),
    Tanh: lambda op, inputs, params: np.tanh(inputs[0]),
    Silu: lambda op, inputs, params: inputs[0] * sigmoid(inputs[0]),
    HardSigmoid: lambda op, inputs, params: hard_sigmoid(inputs[0]),
    HardSwish: lambda op, inputs, params: inputs[0] * hard_sigmoid(inputs[0]),
    Softmax: softmax,
    Maxout: maxout,
    ChannelMax: channel_max,
}
