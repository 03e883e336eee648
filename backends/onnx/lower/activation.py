"""Functions of single elements: by ONNX's operator where there is one, else by their formula."""

from __future__ import annotations

from itertools import count

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering, Lowerings, native, per_channel
from cnndsl.backends.onnx.lower.join import broadcast
from cnndsl.ir.formula import Formula, X
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    OPERATORS,
    ArgMax,
    Celu,
    ChannelMax,
    ChannelMean,
    Clamp,
    Elementwise,
    Elu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    LogSoftmax,
    Maxout,
    Mish,
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
    Tanh,
)

FUNCTIONS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "negative": "Neg",
    "absolute": "Abs",
    "maximum": "Max",
    "minimum": "Min",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "power": "Pow",
    "tanh": "Tanh",
    "erf": "Erf",
    "select": "Where",
}
"""ONNX's names of the functions of formulas."""


def lower_formula(site: Site, op: Operator) -> None:
    """Nodes named after what they compute, numbered; numbers are scalars."""
    formula = op.formula
    assert formula
    numbers = count()
    given = dict(zip(("x", "other"), broadcast(site), strict=False))
    compared: dict[tuple[str, str], str] = {}

    def leaf(part: Formula) -> str:
        if part.function == "parameter":
            return per_channel(site, str(part.value))
        if part.function in given:
            return given[part.function]
        return site.floats("number", float(part.value))

    def made(part: Formula, operands: list[str]) -> str:
        role = f"{part.function}{next(numbers)}"
        if part.function == "select":
            a, b, *operands = operands
            if (a, b) not in compared:
                compared[a, b] = site.step(f"{role}.at_least", "GreaterOrEqual", a, b)
            operands.insert(0, compared[a, b])
        if part is formula:
            site.emit(FUNCTIONS[part.function], *operands)
            return site.tensor
        return site.step(role, FUNCTIONS[part.function], *operands)

    if formula == X:
        site.emit("Identity", site.input)
    formula.compute(leaf, made)


def _clamp(site: Site, op: Clamp) -> None:
    if op.low is None or op.high is None:
        lower_formula(site, op)
    else:
        _limits(site, op.low, op.high)


def _limits(site: Site, low: float, high: float) -> None:
    site.emit("Clip", site.input, site.floats("min", low), site.floats("max", high))


def _softplus(site: Site, op: Softplus) -> None:
    if op.beta == 1:
        site.emit("Softplus", site.input)
    else:
        lower_formula(site, op)


def _silu(site: Site, op: Silu) -> None:
    site.emit("Mul", site.input, site.step("sigmoid", "Sigmoid", site.input))


def _mish(site: Site, op: Mish) -> None:
    """By its definition, which converters know as one operator: Mish came with opset 18."""
    gate = site.step("gate", "Tanh", site.step("softplus", "Softplus", site.input))
    site.emit("Mul", site.input, gate)


def _hard_swish(site: Site, op: HardSwish) -> None:
    """By its definition: HardSwish came with opset 14, and onnxruntime has no kernel for it."""
    gate = site.step("gate", "HardSigmoid", site.input, alpha=1 / 6, beta=0.5)
    site.emit("Mul", site.input, gate)


def _softmax(kind: str) -> Lowering:
    """Over the channels; over the last axis it means the same in every opset."""

    def lower(site: Site, op: Operator) -> None:
        site.emit(kind, site.input, axis=1 if site.input_type.rank else -1)

    return lower


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


def _argmax(site: Site, op: ArgMax) -> None:
    """Of ranks: 2 for NaN, 1 for what equals the largest number, 0 else."""
    x, ranks = site.input, [site.floats(f"rank{rank}", rank) for rank in range(3)]
    largest = site.step("largest", "ReduceMax", x, axes=[1], keepdims=1)
    equal = site.step("is_largest", "Equal", x, largest)
    rank = site.step("rank", "Where", equal, ranks[1], ranks[0])
    rank = site.step("rank_or_nan", "Where", site.step("is_nan", "IsNaN", x), ranks[2], rank)
    index = site.step("index", "ArgMax", rank, axis=1, keepdims=1)
    site.emit("Cast", index, to=site.element)


def _celu(site: Site, op: Celu) -> None:
    """Celu came with opset 12; with alpha 1 it is Elu."""
    if op.alpha == 1:
        site.emit("Elu", site.input, alpha=1.0)
    else:
        lower_formula(site, op)


def _selu(site: Site, op: Selu) -> None:
    """The defaults of both are the same; pnnx knows no others."""
    attributes = {} if op == Selu() else {"alpha": op.alpha, "gamma": op.scale}
    site.emit("Selu", site.input, **attributes)


LOWERINGS: Lowerings = {
    **{op: lower_formula for op in OPERATORS if issubclass(op, Elementwise)},
    Relu: native("Relu"),
    Relu6: lambda site, op: _limits(site, 0.0, 6.0),
    Clamp: _clamp,
    LeakyRelu: lambda site, op: site.emit("LeakyRelu", site.input, alpha=op.slope),
    PRelu: lambda site, op: site.emit("PRelu", site.input, per_channel(site, "weight")),
    Elu: lambda site, op: site.emit("Elu", site.input, alpha=op.alpha),
    Celu: _celu,
    Mish: _mish,
    Selu: _selu,
    Softsign: native("Softsign"),
    Reciprocal: native("Reciprocal"),
    Softplus: _softplus,
    Sigmoid: native("Sigmoid"),
    Tanh: native("Tanh"),
    Silu: _silu,
    HardSigmoid: lambda site, op: site.emit(
        "HardSigmoid", site.input, alpha=op.alpha, beta=op.beta
    ),
    HardSwish: _hard_swish,
    Softmax: _softmax("Softmax"),
    LogSoftmax: _softmax("LogSoftmax"),
    Maxout: _maxout,
    ArgMax: _argmax,
    ChannelMax: native("ReduceMax", axes=[1], keepdims=1),
    ChannelMean: native("ReduceMean", axes=[1], keepdims=1),
}
"""ONNX's own operators for some functions of single elements, the formula for the others.

onnxruntime's ThresholdedRelu loses NaN.
"""
