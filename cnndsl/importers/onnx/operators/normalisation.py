"""Normalisation."""

from __future__ import annotations

import numpy as np

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import BATCH_FACTOR, Factor, natural, normal
from cnndsl.importers.onnx.operators.common import Read, along_channels, weight
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    L2Normalise,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
)


def batch_norm(site: Site) -> Value:
    """`bn`, at inference."""
    if site.whole("training_mode") or not site.whole("spatial", 1):
        raise unsupported("it normalises by the batch, or each position by itself")
    x, node = along_channels(site, site.value(0))
    roles = ("weight", "bias", "running_mean", "running_var")
    weights = {role: weight(site, place) for place, role in enumerate(roles, 1)}
    made = site.add(BatchNorm(site.number("epsilon", 1e-5)), node, weights=weights)
    return site.same_places(x, node, made)


def lrn(site: Site) -> Value:
    """`lrn`, of an odd size."""
    return _local_response(site, site.whole("size"), site.number("alpha", 1e-4))


def local_response(site: Site) -> Value:
    """`lrn`, as PyTorch computes it: a mean over neighbours along an axis behind one of size 1."""
    x, laid = site.value(0), site.value(1)
    size = site.whole("size")
    pads = site.integers("pads") or site.whole_numbers(3)
    before, after = size // 2, (size - 1) // 2
    rest = [0] * (len(laid.layout) - 3)
    as_it_was = not site.has(2) or site.value(2).layout == x.layout
    if laid.layout[1:2] != ((),) or (laid.layout[0], *laid.layout[2:3]) != x.layout[:2]:
        raise unsupported("the squares are not laid out by channels")
    if pads != [0, 0, before, *rest, 0, 0, after, *rest] or not as_it_was:
        raise unsupported("the mean of the squares is not that around each channel")
    return _local_response(site, size, site.number("alpha"))


def _local_response(site: Site, size: int, alpha: float) -> Value:
    if size < 1 or size % 2 == 0:
        raise unsupported(f"its size {size} is not odd")
    x, node = along_channels(site, site.value(0))
    op = LocalResponseNorm(size, alpha / size, site.number("beta", 0.75), site.number("bias", 1.0))
    return site.same_places(x, node, site.add(op, node))


def _scaled(site: Site) -> dict[str, Weight]:
    return {"weight": weight(site, 1), "bias": weight(site, 2)}


def instance_norm(site: Site) -> Value:
    """`instance_norm`; `group_norm` of channels that are groups and their channels."""
    x = site.value(0)
    eps = site.number("epsilon", 1e-5)
    weights = _scaled(site)
    node = site.element(x)
    channels, *positions = natural(node.type.shape)[1:]
    groups = x.layout[1][0].size if len(x.layout) > 1 and len(x.layout[1]) == 1 else None
    in_order = normal([f for axis in x.layout[1:] for f in axis]) == normal(
        [f for axis in (channels, *positions) for f in axis]
    )
    if not positions or not in_order or not isinstance(groups, int) or x.layout[1] == channels:
        node = site.plain(x)
        return site.result(site.add(InstanceNorm(eps), node, weights=weights))
    if node.type.channels % groups or len(x.layout[0]) > 1:
        raise unsupported(f"its {groups} groups are no runs of {node.type.channels} channels")
    if (weights["weight"].array == 1).all() and not weights["bias"].array.any():
        return site.same_places(x, node, site.add(GroupNorm(groups, eps, affine=False), node))
    each = node.type.channels // groups
    spread = {role: Weight(w.array.repeat(each)) for role, w in weights.items()}
    return site.same_places(x, node, site.add(GroupNorm(groups, eps), node, weights=spread))


def group_norm(site: Site) -> Value:
    """`group_norm`; one scale for each channel, or before opset 21 for each group."""
    node = site.plain(site.value(0))
    groups = site.whole("num_groups", 1)
    if groups < 1 or node.type.channels % groups:
        raise damaged(f"its num_groups is {groups}")
    weights = _scaled(site)
    if site.opset < 21:
        each = node.type.channels // groups
        weights = {role: Weight(w.array.repeat(each), w.origin) for role, w in weights.items()}
    op = GroupNorm(groups, site.number("epsilon", 1e-5))
    return site.result(site.add(op, node, weights=weights))


def layer_norm(site: Site) -> Value:
    """`layer_norm` over the last axis."""
    x = site.value(0)
    rank = len(x.layout)
    axis = site.axis(rank, -1)
    eps = site.number("epsilon", 1e-5)
    if axis == 0:
        raise Refusal("E0804", "it normalises over the batch")
    if axis < rank - 1:
        raise unsupported(f"it normalises over the last {rank - axis} axes")
    x, node = along_channels(site, x, axis)
    scale = weight(site, 1)
    bias = weight(site, 2) if site.has(2) else Weight(np.zeros_like(scale.array))
    weights = {"weight": scale, "bias": bias}
    return site.same_places(x, node, site.add(LayerNorm(eps), node, weights=weights))


def rms_norm(site: Site) -> Value:
    """`rms_norm` over the last axis."""
    x = site.value(0)
    rank = len(x.layout)
    if site.axis(rank, -1) != rank - 1:
        raise unsupported("it normalises over several axes")
    x, node = along_channels(site, x, rank - 1)
    op = RmsNorm(site.number("epsilon", 1e-5))
    return site.same_places(x, node, site.add(op, node, weights={"weight": weight(site, 1)}))


def lp_norm(site: Site) -> Value:
    """`l2_normalise` over one axis."""
    x = site.value(0)
    if site.whole("p", 2) != 2:
        raise unsupported("its p is not 2")
    axis = site.axis(len(x.layout), -1)
    if axis == 0:
        raise Refusal("E0804", "it normalises over the batch")
    x, node = along_channels(site, x, axis)
    return site.same_places(x, node, site.add(L2Normalise(), node))


BATCH_ONLY = (BATCH_FACTOR,)


# Normalisations that a model spells out: see `spellings`


def _axes(site: Site, x: Value) -> list[int]:
    """The axes that are reduced, but those of size 1. Raises Refusal."""
    given = site.checked_axes(site.integers("axes") or [], len(x.layout))
    alone = site.builder.batch == 1
    axes = sorted(a for a in given if x.layout[a] and not (alone and x.layout[a] == BATCH_ONLY))
    if any(BATCH_FACTOR in x.layout[axis] for axis in axes):
        raise Refusal("E0804", "it normalises over the batch")
    return axes


def standardised(site: Site) -> Value:
    """`layer_norm` over one axis, `instance_norm` over positions, `group_norm` over more."""
    x = site.value(0)
    axes = _axes(site, x)
    eps = site.number("eps")
    node = site.element(x)
    gone = sorted((f for i in axes for f in x.layout[i]), key=lambda f: (f.axis, -f.step))
    channels, *positions = natural(node.type.shape)[1:]
    if len(positions) > 1 and gone == [f for axis in positions for f in axis]:
        return site.same_places(x, node, site.add(InstanceNorm(eps, affine=False), node))
    if positions and gone[1:] == [f for axis in positions for f in axis]:
        each = gone[0]
        if isinstance(each.size, int) and each == Factor(0, each.size) and channels:
            op = GroupNorm(node.type.channels // each.size, eps, affine=False)
            return site.same_places(x, node, site.add(op, node))
    return _along(site, x, axes, LayerNorm(eps, affine=False))


def root_mean_square(site: Site) -> Value:
    """`rms_norm` over one axis."""
    x = site.value(0)
    return _along(site, x, _axes(site, x), RmsNorm(site.number("eps"), affine=False))


def unit_length(site: Site) -> Value:
    """`l2_normalise` over one axis."""
    x = site.value(0)
    shape = site.integers("shape") or []
    first = shape[0] if len(shape) == len(x.layout) else None
    if shape and (first not in (1, site.builder.batch) or tuple(shape[1:]) != x.shape[1:]):
        raise unsupported("the length is repeated to another shape")
    return _along(site, x, _axes(site, x), L2Normalise(site.number("eps")))


def _along(site: Site, x: Value, axes: list[int], op: Operator) -> Value:
    """Over the one axis that is reduced."""
    if len(axes) != 1:
        raise unsupported(f"it normalises over {len(axes)} axes")
    x, node = along_channels(site, x, axes[0])
    return site.same_places(x, node, site.add(op, node))


SPELT_OUT: dict[str, Read] = {
    "Standardised": standardised,
    "RootMeanSquare": root_mean_square,
    "UnitLength": unit_length,
    "LocalResponse": local_response,
}

OPERATORS: dict[str, Read] = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "LpNormalization": lp_norm,
    "LRN": lrn,
}
