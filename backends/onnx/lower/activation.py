"""Activations."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, native, per_channel
from cnndsl.ir.operators.activation import (
    ChannelMax,
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
    Tanh,
)


def _relu6(site: Site, op: Relu6) -> None:
    site.emit("Clip", site.input, site.floats("min", 0.0), site.floats("max", 6.0))


def _leaky_relu(site: Site, op: LeakyRelu) -> None:
    site.emit("LeakyRelu", site.input, alpha=op.slope)


def _prelu(site: Site, op: PRelu) -> None:
    site.emit("PRelu", site.input, per_channel(site, "weight"))


def _silu(site: Site, op: Silu) -> None:
    site.emit("Mul", site.input, site.step("sigmoid", "Sigmoid", site.input))


def _softmax(site: Site, op: Softmax) -> None:
    """Over the last axis it means the same in every opset."""
    site.emit("Softmax", site.input, axis=1 if site.input_type.rank else -1)


def _maxout(site: Site, op: Maxout) -> None:
    """Every `pieces`-th channel, from each of the first ones; the largest of these."""
    end = site.integers("end", [site.input_type.channels])
    axis = site.integers("axis", [1])
    step = site.integers("step", [op.pieces])
    pieces = [
        site.step(
            f"piece{j}", "Slice", site.input, site.integers(f"start{j}", [j]), end, axis, step
        )
        for j in range(op.pieces)
    ]
    site.emit("Max", *pieces)


def _channel_max(site: Site, op: ChannelMax) -> None:
    site.emit("ReduceMax", site.input, axes=[1], keepdims=1)


LOWERINGS: Lowerings = {
    Relu: native("Relu"),
    Relu6: _relu6,
    LeakyRelu: _leaky_relu,
    PRelu: _prelu,
    Sigmoid: native("Sigmoid"),
    Tanh: native("Tanh"),
    Silu: _silu,
    HardSigmoid: native("HardSigmoid", alpha=1 / 6, beta=0.5),
    HardSwish: native("HardSwish"),
    Softmax: _softmax,
    Maxout: _maxout,
    ChannelMax: _channel_max,
}
