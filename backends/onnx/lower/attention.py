"""Products of two maps, and sums weighted by a softmax of operands."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, fixed_shape, shape_with, spatial_sizes
from cnndsl.backends.onnx.lower.join import broadcast
from cnndsl.ir.operators.attention import MatMul, MatMulTransposed, MatrixProduct, SoftmaxSum


def _matrix_product(site: Site, op: MatrixProduct) -> None:
    """Maps are reshaped to matrices, and the product to a map."""
    x, y = site.part.inputs[1], site.output_type
    matrix, other = (_as_matrix(site, index) for index in range(2))
    if op.transposed:
        matrix = site.step("transposed", "Transpose", matrix, perm=[0, 2, 1])
    if x.rank == 1:
        site.emit("MatMul", matrix, other)
        return
    product = site.step("product", "MatMul", matrix, other)
    fixed = fixed_shape(y.shape)
    if fixed is not None:
        shape = site.integers("shape", [site.batch, *fixed])
    else:
        spatial = spatial_sizes(site, "spatial", site.inputs[1])
        shape = shape_with(site, "shape", [site.batch, y.channels], spatial)
    site.emit("Reshape", product, shape)


def _as_matrix(site: Site, index: int) -> str:
    """An operand as [batch, channels, positions]."""
    x, name = site.part.inputs[index], site.inputs[index]
    if x.rank == 1:
        return name
    shape = site.integers(f"matrix{index}_shape", [site.batch, x.channels, -1])
    return site.step(f"matrix{index}", "Reshape", name, shape)


def _softmax_sum(site: Site, op: SoftmaxSum) -> None:
    """Scores are shifted by the largest against overflow."""
    operands = broadcast(site)
    half = len(operands) // 2
    values, scores = operands[:half], operands[half:]
    largest = site.step("largest", "Max", *scores)
    shifted = [site.step(f"shifted{i}", "Sub", s, largest) for i, s in enumerate(scores)]
    powers = [site.step(f"power{i}", "Exp", s) for i, s in enumerate(shifted)]
    weighted = [
        site.step(f"weighted{i}", "Mul", *pair)
        for i, pair in enumerate(zip(values, powers, strict=True))
    ]
    if half == 1:
        sums = weighted + powers
    else:
        sums = [site.step(f"sum{i}", "Sum", *terms) for i, terms in enumerate((weighted, powers))]
    site.emit("Div", *sums)


LOWERINGS: Lowerings = {
    MatMul: _matrix_product,
    MatMulTransposed: _matrix_product,
    SoftmaxSum: _softmax_sum,
}
