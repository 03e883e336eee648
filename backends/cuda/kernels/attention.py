"""Products of two maps, and sums weighted by a softmax of operands."""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, elementary
from cnndsl.ir.operators import MatMul, MatMulTransposed, SoftmaxSum
from cnndsl.ir.operators.attention import MatrixProduct


def matrix_product(call: Call[MatrixProduct]) -> Iterator[Kernel]:
    """Plain loops: each number by itself."""
    core = "each_channel<Y>(v, p, [&](int c) { return multiply<SELF>(a, p, c); });"
    constants = {"TRANSPOSED": int(call.op.transposed), "INNER": call.core.inputs[1].channels}
    return elementary("plain", call, core, constants=constants)


def softmax_sum(call: Call[SoftmaxSum]) -> Iterator[Kernel]:
    """Scores are shifted by the largest against overflow."""
    half = len(call.core.inputs) // 2
    fetched = " ".join(f"float u{i}[V]; fetch<X{i}>(u{i}, a.x{i}, p);" for i in range(2 * half))
    scores = [f"u{half + i}[i]" for i in range(half)]
    largest = scores[0]
    for score in scores[1:]:
        largest = f"maximum({largest}, {score})"
    powers = " ".join(
        f"const float e{i} = expf({score} - largest);" for i, score in enumerate(scores)
    )
    weighted = " + ".join(f"e{i} * u{i}[i]" for i in range(half))
    total = " + ".join(f"e{i}" for i in range(half))
    core = (
        f"{fetched} EACH {{ const float largest = {largest}; {powers} "
        f"v[i] = ({weighted}) / ({total}); }}"
    )
    return elementary("elementwise", call, core)


FAMILIES: Families = {
    MatMul: matrix_product,
    MatMulTransposed: matrix_product,
    SoftmaxSum: softmax_sum,
}
