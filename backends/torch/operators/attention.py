"""Products of two maps, sums weighted by a softmax of other operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Operand, joined
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import MatMul, MatMulTransposed, SoftmaxSum
from cnndsl.ir.part import Part


def matmul(part: Part[MatMul]) -> Layer:
    """Of two maps as matrices."""
    return Layer(("matmul(", Operand(0), ", ", Operand(1), ")"))


def matmul_transposed(part: Part[MatMulTransposed]) -> Layer:
    """The first one transposed."""
    return Layer(("matmul(", Operand(0), ", ", Operand(1), ", transposed=True)"))


def softmax_sum(part: Part[SoftmaxSum]) -> Layer:
    """Values, then as many scores."""
    return Layer(
        ("softmax_sum(", *joined([Operand(i) for i in range(len(part.inputs))], ", "), ")")
    )


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    MatMul: matmul,
    MatMulTransposed: matmul_transposed,
    SoftmaxSum: softmax_sum,
}
