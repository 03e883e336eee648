"""Normalisation and scaling of channels, learned and constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

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

_Node: TypeAlias = tuple[str, list[str], dict[str, Any]]


def _batch_norm(site: Site, op: BatchNorm) -> None:
    roles = ("weight", "bias", "running_mean", "running_var")
    parameters = [site.parameter(role) for role in roles]
    site.emit("BatchNormalization", site.input, *parameters, epsilon=op.eps)


def _layer_norm(site: Site, op: LayerNorm) -> None:
    """Written out over the last axis, the channels being brought there and back.

    onnxruntime makes of it the LayerNormalization of opset 17, if the model has that opset.
    """
    rank, x = site.input_type.rank, site.input
    if rank:
        x = site.step("last", "Transpose", x, perm=[0, *range(2, 2 + rank), 1])
    mean = site.step("mean", "ReduceMean", x, axes=[-1], keepdims=1)
    centred = site.step("centred", "Sub", x, mean)
    square = site.step("square", "Pow", centred, site.floats("two", 2.0))
    variance = site.step("variance", "ReduceMean", square, axes=[-1], keepdims=1)
    stable = site.step("stable", "Add", variance, site.floats("eps", op.eps))
    nodes: list[_Node] = [("Div", [centred, site.step("deviation", "Sqrt", stable)], {})]
    if op.affine:
        nodes += [("Mul", [site.parameter("weight")], {}), ("Add", [site.parameter("bias")], {})]
    if rank:
        nodes.append(("Transpose", [], {"perm": [0, 1 + rank, *range(1, 1 + rank)]}))
    _emit_chain(site, nodes)


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
    """Groups as channels of a map; ONNX's own operator came with opset 18, and changed in 21.

    Its second axis of size 1 is for ncnn, which normalises maps, but no rows.
    """
    as_groups = site.integers("group_shape", [site.batch, op.groups, -1, 1])
    groups = site.step("groups", "Reshape", site.input, as_groups)
    standard = site.step(
        "standard", "InstanceNormalization", groups, *_neutral(site, op.groups), epsilon=op.eps
    )
    shape = _own_shape(site)
    _scaled(site, "Reshape", standard, shape, scale=op.affine, shift=op.affine)


def _rms_norm(site: Site, op: RmsNorm) -> None:
    square = site.step("square", "Mul", site.input, site.input)
    mean = site.step("mean", "ReduceMean", square, axes=[1], keepdims=1)
    stable = site.step("stable", "Add", mean, site.floats("eps", op.eps))
    root = site.step("root", "Sqrt", stable)
    _scaled(site, "Div", site.input, root, scale=op.affine)


def _l2_normalise(site: Site, op: L2Normalise) -> None:
    length = site.step("length", "ReduceL2", site.input, axes=[1], keepdims=1)
    longer = site.step("longer", "Max", length, site.floats("eps", op.eps))
    _scaled(site, "Div", site.input, longer, scale=op.scale)


def _scaled(site: Site, kind: str, *operands: str, scale: bool, shift: bool = False) -> None:
    """What a node of some kind and operands makes, scaled and shifted for each channel."""
    nodes: list[_Node] = [(kind, [*operands], {})]
    nodes += [("Mul", [per_channel(site, "weight")], {})] if scale else []
    nodes += [("Add", [per_channel(site, "bias")], {})] if shift else []
    _emit_chain(site, nodes)


def _emit_chain(site: Site, nodes: Sequence[_Node]) -> None:
    """Nodes by kind, operands and attributes; each reads first what the one before it makes."""
    *others, (kind, operands, attributes) = nodes
    before: list[str] = []
    for other, own, settings in others:
        before = [site.step(other.lower(), other, *before, *own, **settings)]
    site.emit(kind, *before, *operands, **attributes)


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
    factor = _number(site, "factor", op.factor)
    if any(op.shift):
        scaled = site.step("scaled", "Mul", site.input, factor)
        site.emit("Add", scaled, _number(site, "shift", op.shift))
    else:
        site.emit("Mul", site.input, factor)


def _number(site: Site, role: str, values: Sequence[float]) -> str:
    """One number for all channels if it is the same for all, one for each if not."""
    return site.floats(role, values[0]) if len(set(values)) == 1 else per_channel(site, role)


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
