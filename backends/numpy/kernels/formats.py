"""Numbers of other formats: whole numbers in float64, which adds and multiplies them exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cnndsl.backends.numpy.kernels.pooling import window_counts, window_sums
from cnndsl.backends.numpy.kernels.types import Kernel, per_channel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Dequantise, Meaning, Quantise, Quantised
from cnndsl.ir.quantisation import codes, nearest_bfloat16
from cnndsl.runtime.module import Array


def cast(op: Cast, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Rounded to the format, as numbers of the operand's numpy type."""
    return rounded_to(op.dtype.name, inputs[0])


def rounded_to(dtype: str, x: Array) -> Array:
    """The nearest numbers of a format, still in their numpy type."""
    match dtype:
        case "bfloat16":
            return nearest_bfloat16(x.astype(np.float32)).astype(x.dtype, copy=False)
        case "float16":
            return x.astype(np.float16).astype(x.dtype)
    return x


def quantise(op: Quantise, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Codes, uint8."""
    return op.result.encode(inputs[0])


def dequantise(op: Dequantise, inputs: list[Array], params: dict[str, Array]) -> Array:
    """float32."""
    assert op.source is not None
    return op.source.decode(inputs[0])


def quantised_kernel(kernels: Mapping[type[Operator], Kernel]) -> Kernel:
    """The kernel of `Quantised`, from those of what it approximates."""

    def kernel(op: Quantised, inputs: list[Array], params: dict[str, Array]) -> Array:
        exact = kernels[type(op.op)]
        centred = [s.centred(x) for s, x in zip(op.sources, inputs, strict=True)]
        if op.meaning is Meaning.LINEAR:
            sums = exact(op.op, centred, {role: params[role] for role in ("weight", "bias")})
            steps = sums.astype(np.float32) * per_channel(params["multiplier"], sums)
            return steps.astype(np.float32) if op.result is None else _codes(op, steps)
        return _STEPS[op.meaning](op, exact, inputs, centred, params)

    return kernel


def _codes(op: Quantised, steps: Array) -> Array:
    assert op.result is not None
    return codes(steps, op.result.zero, op.low, op.high)


def _sum(op: Quantised, exact: Kernel, q: list[Array], x: list[Array], _: object) -> Array:
    """From left to right in float32; the products are exact."""
    rank = max(a.ndim for a in x)
    terms = [
        a.astype(np.float32).reshape(*a.shape, *(1,) * (rank - a.ndim)) * np.float32(factor)
        for a, factor in zip(x, op.factors, strict=True)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return _codes(op, total)


def _product(op: Quantised, exact: Kernel, q: list[Array], x: list[Array], _: object) -> Array:
    (factor,) = op.factors
    return _codes(op, exact(op.op, x, {}).astype(np.float32) * np.float32(factor))


def _mean(op: Quantised, exact: Kernel, q: list[Array], x: list[Array], _: object) -> Array:
    """The sum of each window times the factor for as many numbers as it has."""
    counts = window_counts(op.op, x[0])
    factors = np.vectorize(op.mean_factor, otypes=[np.float32])(counts)
    return _codes(op, window_sums(op.op, x[0]).astype(np.float32) * factors)


def _move(op: Quantised, exact: Kernel, q: list[Array], x: list[Array], _: object) -> Array:
    """Operands in the scale of the result, then moved or compared as whole numbers."""
    assert op.result is not None
    moved = [
        a if factor is None else _rescaled(op, a, factor)
        for a, factor in zip(x, op.rescaling, strict=True)
    ]
    return codes(exact(op.op, moved, {}), op.result.zero, op.low, op.high)


def _rescaled(op: Quantised, x: Array, factor: float) -> Array:
    assert op.result is not None
    return op.result.centred(codes(x.astype(np.float32) * np.float32(factor), op.result.zero))


def _map(
    op: Quantised, exact: Kernel, q: list[Array], x: list[Array], params: dict[str, Array]
) -> Array:
    """The product is exact in float32, the sum is rounded."""
    steps = x[0].astype(np.float32) * per_channel(params["weight"].astype(np.float32), x[0])
    if "bias" in params:
        steps = steps + per_channel(params["bias"].astype(np.float32), x[0])
    return _codes(op, steps)


def _table(op: Quantised, exact: Kernel, q: list[Array], x: list[Array], _: object) -> Array:
    return np.asarray(op.table[q[0]])


_STEPS: dict[Meaning, Callable[..., Array]] = {
    Meaning.SUM: _sum,
    Meaning.PRODUCT: _product,
    Meaning.MEAN: _mean,
    Meaning.MOVE: _move,
    Meaning.MAP: _map,
    Meaning.TABLE: _table,
}

KERNELS: dict[type[Operator], Kernel] = {
    Cast: cast,
    Quantise: quantise,
    Dequantise: dequantise,
}
