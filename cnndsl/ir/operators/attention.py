"""What attention is made of: products of two maps, sums weighted by a softmax of other operands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.operator import Operator, OperatorError, Reads, Sign, Windows
from cnndsl.ir.operators.dense import require_known
from cnndsl.ir.operators.join import Join
from cnndsl.ir.types import TensorType


class MatrixProduct(Operator):
    """The product of a matrix that the first operand is and the second, [channels, positions]."""

    operands: ClassVar[int | None] = None
    sign = Sign.KEPT
    gradient = Reads.OPERANDS
    transposed: ClassVar[bool]

    def takes(self, count: int) -> bool:
        """Two."""
        return count == 2

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[rows of the matrix, *positions of the second operand]."""
        if len(inputs) != 2:
            raise OperatorError("E0301", f"{self.name} joins two values, not {len(inputs)}")
        a, b = inputs
        require_known(self.name, a)
        rows, columns = self.matrix(a)
        if columns != b.channels:
            raise OperatorError(
                "E0301",
                f"{self.name} needs as many channels in the second operand as the matrix of the "
                f"first has columns, {columns}, but that is {b}",
                show_operands=True,
            )
        return TensorType((rows, *b.spatial))

    def matrix(self, a: TensorType) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        channels, *positions = a.sizes
        shape = (channels, math.prod(positions))
        return shape[::-1] if self.transposed else shape

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Columns of the matrix times numbers of the result."""
        return inputs[1].channels * output.elements

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions, of the first operand."""
        return None


@dataclass(frozen=True)
class MatMul(MatrixProduct):
    """Product of two maps as matrices: y[i,p] = sum_j a[i,j] b[j,p], j the positions of a.

    Positions are counted with the last axis fastest; those of b are those of the result. With
    attention weights b, of which channel j belongs to position j of the values a, the last step of
    attention: Wang et al. (2018), Non-local neural networks, equation 1. MACs: positions of a times
    numbers of the result.
    """

    name: ClassVar[str] = "matmul"
    foreign = ("PyTorch matmul", "Keras matmul")
    example_shapes = ((8, 16, 16), (256, 4, 4))
    transposed = False


@dataclass(frozen=True)
class MatMulTransposed(MatrixProduct):
    """Products of all pairs of positions: y[i,p] = sum_c a[c,i] b[c,p], i the positions of a.

    With keys a and queries b, the scores of attention, channel i for position i of the keys, of
    which softmax makes weights. Source: Wang et al. (2018), Non-local neural networks, equation 4.
    MACs: channels times numbers of the result.
    """

    name: ClassVar[str] = "matmul_transposed"
    example_shapes = ((8, 16, 16), (8, 4, 4))
    transposed = True


@dataclass(frozen=True)
class SoftmaxSum(Join):
    """Sum of values weighted by the softmax of scores, element by element.

    Of operands x1 ... xn, s1 ... sn: y = sum_i exp(s_i) x_i / sum_j exp(s_j). How selective kernels
    choose among branches: Li et al. (2019), Selective kernel networks, equation 5.
    """

    name: ClassVar[str] = "softmax_sum"
    example_shapes = ((8, 16, 16),) * 4
    gradient = Reads.OPERANDS

    def takes(self, count: int) -> bool:
        """A score for each value."""
        return count >= 2 and count % 2 == 0

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of a sum of all operands."""
        if len(inputs) % 2:
            raise OperatorError(
                "E0301",
                f"{self.name} needs values and then a score for each, not {len(inputs)} operands",
            )
        return super().infer(inputs)
