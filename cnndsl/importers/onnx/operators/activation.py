"""Functions of single elements, and those of the channels of a position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.functions import FLOAT_MAX, LARGEST, Function, limited, made, power
from cnndsl.importers.onnx.operators.common import Read, along_channels, weight_of
from cnndsl.importers.onnx.refusal import Refusal, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Celu,
    Elu,
    Gelu,
    HardSwish,
    LeakyRelu,
    LogSoftmax,
    Mish,
    PRelu,
    Relu,
    Selu,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu,
)


def applied(site: Site, x: Value, function: Callable[[Function], Function]) -> Value:
    """A function of what a value is a function of; it is computed when something reads it."""
    if x.integer:
        raise unsupported("its operand holds whole numbers")
    if x.function.size > LARGEST:
        x = site.gathered(x)
    return replace(x, function=function(x.function), label=site.label)


def _simple(describe: str, function: Callable[[Site, Function], Function]) -> Read:
    def read(site: Site) -> Value:
        return applied(site, site.value(0), lambda x: function(site, x))

    read.__doc__ = describe
    return read


def _clip(site: Site, x: Function) -> Function:
    if site.opset < 11:
        low, high = site.number("min", -FLOAT_MAX), site.number("max", FLOAT_MAX)
    else:
        low = site.scalar(1) if site.has(1) else -FLOAT_MAX
        high = site.scalar(2) if site.has(2) else FLOAT_MAX
    return limited(x, low, high)


def _hard_sigmoid(site: Site, x: Function) -> Function:
    scaled = made("add", made("multiply", x, site.number("alpha", 0.2)), site.number("beta", 0.5))
    return made("minimum", made("maximum", scaled, 0.0), 1.0)


def _selu(site: Site, x: Function) -> Function:
    alpha = site.number("alpha", 1.6732632423543772)
    scaled = made("multiply", made(Elu(alpha), x), site.number("gamma", 1.0507009873554805))
    return made(Selu(), x) if not site.step.attributes else scaled


def _swish(site: Site, x: Function) -> Function:
    return made("multiply", x, made(Sigmoid(), made("multiply", x, site.number("alpha", 1.0))))


def _gelu(site: Site, x: Function) -> Function:
    return made(Gelu(site.text("approximate", "none") == "tanh"), x)


def _leaky(site: Site, x: Function) -> Function:
    return made(LeakyRelu(site.number("alpha", 0.01)), x)


def _elu(site: Site, x: Function) -> Function:
    return made(Elu(site.number("alpha", 1.0)), x)


def prelu(site: Site) -> Value:
    """`prelu`; `leaky_relu` with one slope."""
    x, slopes = site.value(0), site.array(1)
    if slopes.size == 1:
        slope = float(slopes.ravel()[0])
        return applied(site, x, lambda f: made(LeakyRelu(slope), f))
    x, node = along_channels(site, x)
    axis = slopes.ndim - len(x.layout) + 1
    if axis < 0 or slopes.shape[axis] != slopes.size or slopes.size != node.type.channels:
        raise unsupported(f"its slopes are {list(slopes.shape)}")
    known = weight_of(site.known(1), slopes)
    weights = {"weight": Weight(known.array.reshape(-1), known.origin)}
    return site.same_places(x, node, site.add(PRelu(), node, weights=weights))


def _of_channels(op: Operator) -> Read:
    """Over an axis; before operator set 13 over all axes from one on."""

    def read(site: Site) -> Value:
        x = site.value(0)
        rank = len(x.layout)
        axis = site.axis(rank, 1 if site.opset < 13 else -1)
        if axis == 0:
            raise Refusal("E0804", "it goes along the batch")
        if site.opset < 13 and any(n != 1 for n in x.shape[axis + 1 :]):
            raise unsupported(f"it goes along the axes from {axis} on of {rank}, as one")
        x, node = along_channels(site, x, axis)
        return site.same_places(x, node, site.add(op, node))

    read.__doc__ = f"`{op.name}`, over one axis."
    return read


OPERATORS: dict[str, Read] = {
    "Relu": _simple("`relu`.", lambda _, x: made(Relu(), x)),
    "Clip": _simple("`relu`, `relu6` or `clamp`.", _clip),
    "LeakyRelu": _simple("`leaky_relu`.", _leaky),
    "PRelu": prelu,
    "Elu": _simple("`elu`.", _elu),
    "Selu": _simple("`selu`; with other constants `elu` and `scale`.", _selu),
    "Celu": _simple("`celu`.", lambda s, x: made(Celu(s.number("alpha", 1.0)), x)),
    "Softsign": _simple("`softsign`.", lambda _, x: made(Softsign(), x)),
    "ThresholdedRelu": _simple(
        "`thresholded_relu`.", lambda s, x: made(ThresholdedRelu(s.number("alpha", 1.0)), x)
    ),
    "Sigmoid": _simple("`sigmoid`.", lambda _, x: made(Sigmoid(), x)),
    "Tanh": _simple("`tanh`.", lambda _, x: made(Tanh(), x)),
    "Softplus": _simple("`softplus`.", lambda _, x: made(Softplus(), x)),
    "HardSigmoid": _simple("`hard_sigmoid`, or its scale and clamp.", _hard_sigmoid),
    "HardSwish": _simple("`hard_swish`.", lambda _, x: made(HardSwish(), x)),
    "Mish": _simple("`mish`.", lambda _, x: made(Mish(), x)),
    "Swish": _simple("`silu`.", _swish),
    "Gelu": _simple("`gelu`.", _gelu),
    "Erf": _simple("A part of `gelu`.", lambda _, x: made("erf", x)),
    "Exp": _simple("`exp`, or a part of others.", lambda _, x: made("exp", x)),
    "Log": _simple("`log`, or a part of others.", lambda _, x: made("log", x)),
    "Sqrt": _simple("`sqrt`, or a part of others.", lambda _, x: made("sqrt", x)),
    "Abs": _simple("`abs`, or a part of others.", lambda _, x: made("absolute", x)),
    "Neg": _simple("`scale`.", lambda _, x: made("negative", x)),
    "Reciprocal": _simple("`reciprocal`, or a part.", lambda _, x: made("divide", 1.0, x)),
    "Pow": _simple("`square`, `pow`, or a part of others.", lambda s, x: power(x, s.scalar(1))),
    "Softmax": _of_channels(Softmax()),
    "LogSoftmax": _of_channels(LogSoftmax()),
}
