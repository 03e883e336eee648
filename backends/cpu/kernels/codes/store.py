"""Between codes and numbers in steps of a scale, as docs/precision.md states it.

Products with a multiplier are rounded before anything else happens to them: between such a product
and the next sum stands a comparison, so LLVM cannot contract both.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, number, vector
from cnndsl.backends.cpu.kernels.kernel import ZERO, Body
from cnndsl.ir.algebra import constant
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Quantised
from cnndsl.ir.quantisation import HIGHEST, Quantisation

WHOLE = 1.5 * 2.0**23
"""Beside it float32 has whole numbers alone: a sum with it is rounded, ties to even."""


def limits(op: Quantised) -> dict[str, Expression]:
    """Between what steps lie whose codes are those of the result: `limits`."""
    assert op.result is not None
    return {"limits": constant([op.low - op.result.zero, op.high - op.result.zero])}


def all_codes(result: Quantisation) -> dict[str, Expression]:
    """The same for all codes: `range`."""
    return {"range": constant([-result.zero, HIGHEST - result.zero])}


def clipped(body: Body, value: Expr, lanes: int, name: str = "limits") -> Expr:
    """Numbers between the limits; the lower one for NaN."""
    low, high = (vector(load(body.weights[name], index), lanes) for index in (0, 1))
    return tirx.min(tirx.Select(value > low, value, low), high)


def rounded(value: Expr, lanes: int) -> Expr:
    """The nearest whole numbers, ties to even, of numbers below 2^22.

    TVM would simplify (x + WHOLE) - WHOLE: it is not to see the sum.
    """
    whole = vector(number(WHOLE), lanes)
    kinds = [kind if lanes == 1 else f"{kind}x{lanes}" for kind in ("int32", "float32")]
    total = value + whole
    for kind in kinds:
        total = tirx.reinterpret(kind, total)
    return total - whole


def stored(body: Body, steps: Expr, lanes: int, name: str = "limits") -> Expr:
    """The codes of numbers in steps of the scale of the result, clipped to limits of that name.

    The bits of a sum with WHOLE end with those of the whole number.
    """
    return cast(_bits(body, steps, lanes, name), "uint8", lanes)


def stored_wide(body: Body, steps: Expr, lanes: int) -> Expr:
    """The same as whole numbers of 32 bits."""
    mask = vector(tirx.const(HIGHEST, "int32"), lanes)
    return tirx.bitwise_and(_bits(body, steps, lanes, "limits"), mask)


def _bits(body: Body, steps: Expr, lanes: int, name: str) -> Expr:
    """32 bits that end with those of a code."""
    value = clipped(body, steps, lanes, name) + vector(number(WHOLE), lanes)
    kind = "int32" if lanes == 1 else f"int32x{lanes}"
    zero = vector(cast(load(body.weights[ZERO], 0), "int32", 1), lanes)
    return tirx.reinterpret(kind, value) + zero


def centred(body: Body, codes: Expr, index: int, lanes: int) -> Expr:
    """Codes of an operand less its zero point, number `index` of the weight `zeros`, as float32."""
    zero: Any = vector(load(body.weights["zeros"], index), lanes)
    return cast(codes, "float32", lanes) - zero


def zeros(op: Quantised) -> dict[str, Expression]:
    """The zero points of the operands."""
    return {"zeros": constant([source.zero for source in op.sources])}
