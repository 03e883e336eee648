"""Normalisation and scaling of channels, learned and constant."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, fixed_shape, per_channel
from cnndsl.ir.algebra import reshape
from cnndsl.ir.operators.constant import ConstantValue, Fixed, LearnedValue, Scale
from cnndsl.ir.operators.normalisation import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    L2Normalise,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
)


def _batch_norm(site: Site, op: BatchNorm) -> None:
    roles = ("weight", "bias", "running_mean", "running_var")
    parameters = [site.parameter(role) for role in roles]
    site.emit("BatchNormalization", site.input, *parameters, epsilon=op.eps)


def _layer_norm(site: Site, op: LayerNorm) -> None:
    """Written out: LayerNormalization, of opset 17, needs the channels behind the positions."""
    mean = site.step("mean", "ReduceMean", site.input, axes=[1], keepdims=1)
    centred = site.step("centred", "Sub", site.input, mean)
    square = site.step("square", "Mul", centred, centred)
    variance = site.step("variance", "ReduceMean", square, axes=[1], keepdims=1)
    stable = site.step("stable", "Add", variance, site.floats("eps", op.eps))
    deviation = site.step("deviation", "Sqrt", stable)
    _scaled(site, ("Div", centred, deviation), op.affine, op.affine)


def _instance_norm(site: Site, op: InstanceNorm) -> None:
    if op.affine:
        scale, shift = site.parameter("weight"), site.parameter("bias")
    else:
        scale, shift = _neutral(site, site.input_type.channels)
    site.emit("InstanceNormalization", site.input, scale, shift, epsilon=op.eps)


def _neutral(site: Site, count: int) -> tuple[str, str]:
    """A scale and a shift that change nothing."""
    return site.floats("ones", [1.0] * count), site.floats("zeros", [0.0] * count)


def _group_norm(site: Site, op: GroupNorm) -> None:
    """Groups as channels of one axis; ONNX's own operator came with opset 18, and changed in 21."""
    as_groups = site.integers("group_shape", [site.batch, op.groups, -1])
    groups = site.step("groups", "Reshape", site.input, as_groups)
    standard = site.step(
        "standard", "InstanceNormalization", groups, *_neutral(site, op.groups), epsilon=op.eps
    )
    _scaled(site, ("Reshape", standard, _own_shape(site)), op.affine, op.affine)


def _rms_norm(site: Site, op: RmsNorm) -> None:
    square = site.step("square", "Mul", site.input, site.input)
    mean = site.step("mean", "ReduceMean", square, axes=[1], keepdims=1)
    stable = site.step("stable", "Add", mean, site.floats("eps", op.eps))
    _scaled(site, ("Div", site.input, site.step("root", "Sqrt", stable)), op.affine)


def _l2_normalise(site: Site, op: L2Normalise) -> None:
    length = site.step("length", "ReduceL2", site.input, axes=[1], keepdims=1)
    longer = site.step("longer", "Max", length, site.floats("eps", op.eps))
    _scaled(site, ("Div", site.input, longer), op.scale)


def _scaled(site: Site, last: tuple[str, ...], scale: bool, shift: bool = False) -> None:
    """What a node of some kind and operands makes, scaled and shifted for each channel."""
    steps = [("weight", "Mul")] * scale + [("bias", "Add")] * shift
    kind, *operands = last
    for role, following in steps:
        value = site.step(kind.lower(), kind, *operands)
        kind, operands = following, [value, per_channel(site, role)]
    site.emit(kind, *operands)


def _own_shape(site: Site) -> str:
    """The shape of the operand and of the result."""
    fixed = fixed_shape(site.output_type.shape)
    if fixed is not None:
        return site.integers("shape", [site.batch, *fixed])
    return site.step("shape", "Shape", site.input)


def _lrn(site: Site, op: LocalResponseNorm) -> None:
    """LRN divides alpha by the size; onnxruntime takes maps of two axes only."""
    settings = {"size": op.size, "alpha": op.alpha * op.size, "beta": op.beta, "bias": op.k}
    if site.input_type.rank == 2:
        site.emit("LRN", site.input, **settings)
        return
    as_map = site.integers("map_shape", [site.batch, site.input_type.channels, -1, 1])
    x = site.step("map", "Reshape", site.input, as_map)
    y = site.step("lrn", "LRN", x, **settings)
    site.emit("Reshape", y, _own_shape(site))


def _scale(site: Site, op: Scale) -> None:
    factor = per_channel(site, "factor")
    if any(op.shift):
        scaled = site.step("scaled", "Mul", site.input, factor)
        site.emit("Add", scaled, per_channel(site, "shift"))
    else:
        site.emit("Mul", site.input, factor)


def _fixed(site: Site, op: Fixed) -> None:
    """The value, repeated for as many samples as the operand has."""
    value = site.params["value"]
    shape = site.step("shape", "Shape", site.input)
    ends = (site.integers(role, [n]) for role, n in (("start", 0), ("end", 1)))
    samples = site.step("samples", "Slice", shape, *ends)
    ones = site.integers("ones", [1] * len(value.shape))
    whole = site.step("whole", "Concat", samples, ones, axis=0)
    site.emit("Expand", site.expression("value", reshape(value, (1, *value.shape))), whole)


LOWERINGS: Lowerings = {
    BatchNorm: _batch_norm,
    LocalResponseNorm: _lrn,
    LayerNorm: _layer_norm,
    InstanceNorm: _instance_norm,
    GroupNorm: _group_norm,
    RmsNorm: _rms_norm,
    L2Normalise: _l2_normalise,
    Scale: _scale,
    ConstantValue: _fixed,
    LearnedValue: _fixed,
}
