"""Normalisation and scaling of channels, learned and constant."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, fixed_shape, per_channel
from cnndsl.ir.operators.constant import Scale
from cnndsl.ir.operators.normalisation import BatchNorm, LocalResponseNorm


def _batch_norm(site: Site, op: BatchNorm) -> None:
    roles = ("weight", "bias", "running_mean", "running_var")
    parameters = [site.parameter(role) for role in roles]
    site.emit("BatchNormalization", site.input, *parameters, epsilon=op.eps)


def _lrn(site: Site, op: LocalResponseNorm) -> None:
    """LRN divides alpha by the size; onnxruntime takes maps of two axes only."""
    settings = {"size": op.size, "alpha": op.alpha * op.size, "beta": op.beta, "bias": op.k}
    if site.input_type.rank == 2:
        site.emit("LRN", site.input, **settings)
        return
    as_map = site.integers("map_shape", [site.batch, site.input_type.channels, -1, 1])
    x = site.step("map", "Reshape", site.input, as_map)
    y = site.step("lrn", "LRN", x, **settings)
    fixed = fixed_shape(site.output_type.shape)
    if fixed is not None:
        shape = site.integers("shape", [site.batch, *fixed])
    else:
        shape = site.step("shape", "Shape", site.input)
    site.emit("Reshape", y, shape)


def _scale(site: Site, op: Scale) -> None:
    factor = per_channel(site, "factor")
    if any(op.shift):
        scaled = site.step("scaled", "Mul", site.input, factor)
        site.emit("Add", scaled, per_channel(site, "shift"))
    else:
        site.emit("Mul", site.input, factor)


LOWERINGS: Lowerings = {
    BatchNorm: _batch_norm,
    LocalResponseNorm: _lrn,
    Scale: _scale,
}
