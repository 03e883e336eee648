"""Operators on whole samples as vectors."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, native
from cnndsl.ir.operators.dense import Flatten, FullyConnected, RadialBasis


def _fully_connected(site: Site, op: FullyConnected) -> None:
    x = site.input
    if site.input_type.rank > 0:
        x = site.step("flat", "Flatten", x, axis=1)
    bias = [site.parameter("bias")] if op.bias else []
    site.emit("Gemm", x, site.parameter("weight"), *bias, transB=1)


def _radial_basis(site: Site, op: RadialBasis) -> None:
    """[batch, 1, inputs] - [units, inputs], squared and summed over the inputs."""
    shape = site.integers("row_shape", [site.batch, 1, site.input_type.elements])
    row = site.step("row", "Reshape", site.input, shape)
    distances = site.step("distances", "Sub", row, site.parameter("centres"))
    site.emit("ReduceSumSquare", distances, axes=[2], keepdims=0)


LOWERINGS: Lowerings = {
    FullyConnected: _fully_connected,
    RadialBasis: _radial_basis,
    Flatten: native("Flatten", axis=1),
}
