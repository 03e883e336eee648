"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Slot, call, expression, module
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
from cnndsl.ir.part import Part

SIMPLE: dict[type[Operator], str] = {
    Abs: "{x.}.abs()",
    ChannelMax: "{x.}.amax(1, keepdim=True)",
    ChannelMean: "{x.}.mean(1, keepdim=True)",
    Exp: "torch.exp({x})",
    HardSwish: "F.hardswish({x})",
    Log: "torch.log({x})",
    LogSoftmax: "F.log_softmax({x}, 1)",
    Mish: "F.mish({x})",
    Reciprocal: "torch.reciprocal({x})",
    Relu: "F.relu({x})",
    Relu6: "F.relu6({x})",
    Sigmoid: "torch.sigmoid({x})",
    Silu: "F.silu({x})",
    Softmax: "F.softmax({x}, 1)",
    Softsign: "F.softsign({x})",
    Sqrt: "torch.sqrt({x})",
    Square: "torch.square({x})",
    Tanh: "torch.tanh({x})",
}
"""Those without attributes."""


def clamp(part: Part[Clamp]) -> Layer:
    """One limit or both."""
    low, high = part.op.low, part.op.high
    if high is None:
        return expression("{x.}.clamp(min={low})", low=low)
    if low is None:
        return expression("{x.}.clamp(max={high})", high=high)
    return expression("{x.}.clamp({low}, {high})", low=low, high=high)


def selu(part: Part[Selu]) -> Layer:
    """PyTorch's has the default numbers alone."""
    if part.op == Selu():
        return expression("F.selu({x})")
    return expression("{scale} * F.elu({x}, {alpha})", scale=part.op.scale, alpha=part.op.alpha)


def prelu(part: Part[PRelu]) -> Layer:
    """Learned slopes."""
    return module(call("nn.PReLU", Slot("channels", part.inputs[0].channels)))


def power(part: Part[Power]) -> Layer:
    """NaN stays NaN whatever the exponent."""
    exponent = part.op.exponent
    if exponent == 0:
        return expression("{x.}.clamp(1.0, 1.0)")
    if exponent == 0.5:
        return expression("torch.sqrt({x})")
    whole = int(exponent) if exponent.is_integer() else exponent
    return expression("{x.}.pow({exponent})", exponent=whole)


def hard_sigmoid(part: Part[HardSigmoid]) -> Layer:
    """PyTorch's has the default line alone."""
    if part.op == HardSigmoid():
        return expression("F.hardsigmoid({x})")
    alpha, beta = part.op.alpha, part.op.beta
    return expression("hard_sigmoid({x}, {alpha}, {beta})", alpha=alpha, beta=beta)


def gelu(part: Part[Gelu]) -> Layer:
    """Exact, or by tanh."""
    return expression('F.gelu({x}, approximate="tanh")' if part.op.tanh else "F.gelu({x})")


def argmax(part: Part[ArgMax]) -> Layer:
    """Numbers of the operand's dtype."""
    return expression("argmax({x})")


def _simple(template: str) -> Callable[[Part[Any]], Layer]:
    return lambda part: expression(template)


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    **{operator: _simple(template) for operator, template in SIMPLE.items()},
    ArgMax: argmax,
    Celu: lambda part: expression("F.celu({x}, {alpha})", alpha=part.op.alpha),
    Clamp: clamp,
    Elu: lambda part: expression("F.elu({x}, {alpha})", alpha=part.op.alpha),
    Gelu: gelu,
    HardSigmoid: hard_sigmoid,
    LeakyRelu: lambda part: expression("F.leaky_relu({x}, {slope})", slope=part.op.slope),
    Maxout: lambda part: expression(
        "{x.}.unflatten(1, (-1, {pieces})).amax(2)", pieces=part.op.pieces
    ),
    Power: power,
    PRelu: prelu,
    Selu: selu,
    Softplus: lambda part: expression("F.softplus({x}, {beta})", beta=part.op.beta),
    ThresholdedRelu: lambda part: expression("F.threshold({x}, {alpha}, 0.0)", alpha=part.op.alpha),
}
