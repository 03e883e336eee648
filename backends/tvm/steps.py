"""Functions of single elements, on vectors: activations, per-channel maps, joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.expressions import Expr, exponential, larger, smaller, vector
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Add,
    Affine,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Max,
    MaxPool,
    Mul,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Subsample,
    Tanh,
)

Parameters: TypeAlias = Callable[[str], Expr]
"""The vector of a parameter, by its role, at the place of the value."""


def apply_step(
    op: Operator, label: str, value: Expr, lanes: int, parameter: Parameters, other: Expr
) -> Expr:
    """The value after one step; `other` is the further operand of a join.

    What chooses among values, rather than to compute one, is left to the kernel.
    """
    match op:
        case Affine():
            return value * parameter(f"{label}.weight") + parameter(f"{label}.bias")
        case PRelu():
            slope = parameter(f"{label}.weight")
            return tirx.Select(value >= vector(0.0, lanes), value, slope * value)
        case Add():
            return value + other
        case Mul():
            return value * other
        case Max():
            return larger(value, other, lanes)
        case Subsample() | MaxPool():
            return value
    return ACTIVATIONS[type(op)](op, value, lanes)


def clip(value: Expr, low: float, high: float, lanes: int) -> Expr:
    """min(max(value, low), high)."""
    return smaller(high, larger(low, value, lanes), lanes)


def sigmoid(value: Expr, lanes: int) -> Expr:
    """1 / (1 + e^-value)."""
    power = exponential(vector(0.0, lanes) - value, lanes)
    return vector(1.0, lanes) / (vector(1.0, lanes) + power)


def tanh(value: Expr, lanes: int) -> Expr:
    """(1 - p) / (1 + p) with p = e^(-2 value)."""
    power = exponential(vector(-2.0, lanes) * clip(value, -20.0, 20.0, lanes), lanes)
    return (vector(1.0, lanes) - power) / (vector(1.0, lanes) + power)


def hard_sigmoid(value: Expr, lanes: int) -> Expr:
    """min(max(value + 3, 0), 6) / 6."""
    return clip(value + vector(3.0, lanes), 0.0, 6.0, lanes) * vector(1 / 6, lanes)


def leaky_relu(op: LeakyRelu, value: Expr, lanes: int) -> Expr:
    """The slope below zero is an attribute."""
    return tirx.Select(value >= vector(0.0, lanes), value, vector(op.slope, lanes) * value)


ACTIVATIONS: dict[type[Operator], Callable[..., Expr]] = {
    Relu: lambda op, value, lanes: larger(0.0, value, lanes),
    Relu6: lambda op, value, lanes: clip(value, 0.0, 6.0, lanes),
    LeakyRelu: leaky_relu,
    Sigmoid: lambda op, value, lanes: sigmoid(value, lanes),
    Tanh: lambda op, value, lanes: tanh(value, lanes),
    Silu: lambda op, value, lanes: (
        value / (vector(1.0, lanes) + exponential(vector(0.0, lanes) - value, lanes))
    ),
    HardSigmoid: lambda op, value, lanes: hard_sigmoid(value, lanes),
    HardSwish: lambda op, value, lanes: value * hard_sigmoid(value, lanes),
}
