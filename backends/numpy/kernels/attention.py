"""Products of two maps, and sums weighted by a softmax of operands."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.kernels.join import KERNELS as JOINS
from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Add, MatMul, MatMulTransposed, Max, SoftmaxSum
from cnndsl.ir.operators.attention import MatrixProduct
from cnndsl.runtime.module import Array


def matrix_product(op: MatrixProduct, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Of the first operand as a matrix, or its transpose, and the second one."""
    matrix, b = (x.reshape(*x.shape[:2], -1) for x in inputs)
    product = (matrix.swapaxes(1, 2) if op.transposed else matrix) @ b
    return product.reshape(*product.shape[:2], *inputs[1].shape[2:])


def softmax_sum(op: SoftmaxSum, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Scores are shifted by the largest against overflow."""
    half, rank = len(inputs) // 2, max(x.ndim for x in inputs)
    whole = [x.reshape(*x.shape, *(1,) * (rank - x.ndim)) for x in inputs]
    values, scores = whole[:half], whole[half:]
    largest = JOINS[Max](Max(), scores, {})
    powers = [np.exp(score - largest) for score in scores]
    weighted = [value * power for value, power in zip(values, powers, strict=True)]
    return _sum(weighted) / _sum(powers)


def _sum(terms: list[Array]) -> Array:
    return JOINS[Add](Add(), terms, {})


KERNELS: dict[type[Operator], Kernel] = {
    MatMul: matrix_product,
    MatMulTransposed: matrix_product,
    SoftmaxSum: softmax_sum,
}
