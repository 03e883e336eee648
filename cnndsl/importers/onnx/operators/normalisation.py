"""Normalisation."""

from __future__ import annotations

from cnndsl.importers.onnx.operators.common import Read, along_channels, weight
from cnndsl.importers.onnx.refusal import unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.operators import BatchNorm, LocalResponseNorm


def batch_norm(site: Site) -> Value:
    """`bn`, at inference."""
    if site.whole("training_mode") or not site.whole("spatial", 1):
        raise unsupported("it normalises by the batch, or each position by itself")
    x = site.value(0)
    node = along_channels(site, x)
    roles = ("weight", "bias", "running_mean", "running_var")
    weights = {role: weight(site, place) for place, role in enumerate(roles, 1)}
    made = site.add(BatchNorm(site.number("epsilon", 1e-5)), node, weights=weights)
    return site.same_places(x, node, made)


def lrn(site: Site) -> Value:
    """`lrn`, of an odd size."""
    size = site.whole("size")
    if size < 1 or size % 2 == 0:
        raise unsupported(f"its size {size} is not odd")
    x = site.value(0)
    node = along_channels(site, x)
    alpha = site.number("alpha", 1e-4) / size
    op = LocalResponseNorm(size, alpha, site.number("beta", 0.75), site.number("bias", 1.0))
    return site.same_places(x, node, site.add(op, node))


OPERATORS: dict[str, Read] = {"BatchNormalization": batch_norm, "LRN": lrn}
