"""Expressions of TensorIR: numbers, vectors, buffers and what is loaded from them, indices.

Values are vectors of `lanes` floats; one lane is a scalar. Indices and conditions that are known
while code is written are Python numbers and truth values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.bfloat16 import is_stored, stored_as, widened
from cnndsl.backends.cpu.codegen.extents import (
    Number,
    expression,
    is_number,
    largest,
    nominal,
    smallest,
)
from cnndsl.ir.index import WORDS

Expr: TypeAlias = Any
"""An expression of TensorIR, or a Python number."""
LOWEST = -math.inf
"""Where the search for a largest number starts."""
LN2 = (0.693359375, math.log(2) - 0.693359375)
"""The natural logarithm of 2 in two parts, of which whole multiples of the first are exact."""


def number(value: float) -> Expr:
    """A float32 constant."""
    return tirx.FloatImm("float32", value)


def vector(value: Expr, lanes: int) -> Expr:
    """A scalar, or a number, repeated in all lanes."""
    scalar = number(value) if isinstance(value, int | float) else value
    return scalar if lanes == 1 else tirx.Broadcast(scalar, lanes)


def larger(a: Expr, b: Expr, lanes: int) -> Expr:
    """The larger of two values, NaN where one of them is; either may be a Python number.

    x86's `maxps` gives its second operand where one is NaN: a number goes first, and nothing more
    is to be done.
    """
    return _extreme(tirx.max, a, b, lanes)


def smaller(a: Expr, b: Expr, lanes: int) -> Expr:
    """The smaller of two values, NaN where one of them is; either may be a Python number."""
    return _extreme(tirx.min, a, b, lanes)


def _extreme(choose: Callable[[Expr, Expr], Expr], a: Expr, b: Expr, lanes: int) -> Expr:
    if isinstance(b, int | float):
        a, b = b, a
    if isinstance(a, int | float):
        return choose(vector(a, lanes), b)
    return tirx.Select(tirx.isnan(a), a, choose(a, b))


def exponential(value: Expr, lanes: int) -> Expr:
    """e^value, within 2e-7 of itself; 0 below -87.3.

    2^n times the series of e^r, where n is the whole number next to value / ln 2, so that |r| is at
    most (ln 2) / 2. Twice the series times 2^(n-1), so that the largest numbers are finite. LLVM
    has no vectors of exponentials: it would call the C library lane by lane.
    """
    value = smaller(89.0, larger(-87.3, value, lanes), lanes)
    whole = tirx.nearbyint(value * vector(1 / math.log(2), lanes))
    rest = value - whole * vector(LN2[0], lanes) - whole * vector(LN2[1], lanes)
    series = vector(2 / math.factorial(7), lanes)
    for power in range(6, -1, -1):
        series = series * rest + vector(2 / math.factorial(power), lanes)
    exponent = (tirx.Cast(_type("int32", lanes), whole) + _whole(126, lanes)) << _whole(23, lanes)
    return series * tirx.reinterpret(_type("float32", lanes), exponent)


def logarithm(value: Expr, lanes: int) -> Expr:
    """The natural logarithm, within 2e-7 of itself or of 1.

    value = 2^n m with sqrt(1/2) <= m < sqrt(2): n ln 2 + 2 artanh(s), s = (m - 1) / (m + 1).
    Numbers below 2^-126, whose exponent is not in their bits, are taken times 2^24.
    """
    kind, one, zero = _type("float32", lanes), vector(1.0, lanes), vector(0.0, lanes)
    half = _whole(0x3F3504F3, lanes)
    tiny = value < vector(2.0**-126, lanes)
    normal = tirx.Select(tiny, value * vector(2.0**24, lanes), value)
    bits = tirx.reinterpret(_type("int32", lanes), normal) - half
    n = (bits >> _whole(23, lanes)) - tirx.Select(tiny, _whole(24, lanes), _whole(0, lanes))
    m = tirx.reinterpret(kind, (bits & _whole(0x7FFFFF, lanes)) + half)
    s = (m - one) / (m + one)
    series = vector(2 / 9, lanes)
    for power in (7, 5, 3, 1):
        series = series * (s * s) + vector(2 / power, lanes)
    found = tirx.Cast(kind, n) * vector(math.log(2), lanes) + s * series
    positive = tirx.Select(value < vector(math.inf, lanes), found, value)
    low = tirx.Select(value >= zero, vector(-math.inf, lanes), vector(math.nan, lanes))
    return tirx.Select(value <= zero, low, positive)


def hyperbolic_tangent(value: Expr, lanes: int) -> Expr:
    """(1 - p) / (1 + p) with p = e^(-2 value), within 2e-7."""
    one, clipped = vector(1.0, lanes), smaller(20.0, larger(-20.0, value, lanes), lanes)
    power = exponential(vector(-2.0, lanes) * clipped, lanes)
    return (one - power) / (one + power)


def error_function(value: Expr, lanes: int) -> Expr:
    """2/sqrt(pi) times the integral of e^(-t^2) from 0, within 3e-7.

    Source: Abramowitz and Stegun (1964), formula 7.1.26.
    """
    one, size = vector(1.0, lanes), tirx.abs(value)
    t = one / (one + size * vector(0.3275911, lanes))
    series = vector(1.061405429, lanes)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + vector(factor, lanes)
    found = one - series * t * exponential(vector(0.0, lanes) - size * size, lanes)
    return tirx.Select(value >= vector(0.0, lanes), found, vector(0.0, lanes) - found)


def cast(value: Expr, dtype: str, lanes: int) -> Expr:
    """The nearest numbers of another type."""
    return tirx.Cast(_type(dtype, lanes), value)


def _type(name: str, lanes: int) -> str:
    return name if lanes == 1 else f"{name}x{lanes}"


def _whole(value: int, lanes: int) -> Expr:
    scalar = tirx.const(value, "int32")
    return scalar if lanes == 1 else tirx.Broadcast(scalar, lanes)


def shuffled(vectors: Sequence[Expr], order: Sequence[int]) -> Expr:
    """The lanes of that order of some vectors, one behind the other."""
    return tirx.Shuffle(list(vectors), [tirx.const(lane, "int32") for lane in order])


def load(buffer: Any, index: Expr, lanes: int = 1, step: int = 1) -> Expr:
    """`lanes` numbers of a buffer from an index on, `step` apart; float32 where it has bfloat16."""
    found = tirx.BufferLoad(buffer, [span(index, lanes, step)])
    return widened(found, lanes) if is_stored(buffer) else found


def load_bits(buffer: Any, index: Expr, lanes: int) -> Expr:
    """`lanes` numbers of a buffer as they lie in memory."""
    return tirx.BufferLoad(buffer, [span(index, lanes)])


def floats(name: str, size: Number, dtype: str = "float32") -> Any:
    """A buffer of numbers that lies on a multiple of 64 bytes if it starts an allocation."""
    return tirx.decl_buffer(
        (nominal(size),),
        stored_as(dtype),
        name=name,
        scope="global",
        layout=None,
        data_alignment=64,
    )


def sizes_buffer() -> Any:
    """A buffer of the open sizes of a call, which lies at any multiple of its numbers' bytes."""
    return tirx.decl_buffer(
        (1,), "int64", name="sizes", scope="global", layout=None, data_alignment=8
    )


def span(index: Expr, lanes: int, step: int = 1) -> Expr:
    """The indices of `lanes` numbers, `step` apart."""
    index = expression(index)
    if lanes == 1:
        return index
    step = step if isinstance(index, int) else tirx.const(step, index.ty.dtype)
    return tirx.Ramp(index, step, lanes)


def whole_number(name: str) -> Any:
    """A variable that is a whole number."""
    return tirx.Var(name, "int32")


def as_float(value: Number) -> Expr:
    """A whole number as a float32."""
    return number(value) if isinstance(value, int) else cast(expression(value), "float32", 1)


def split(index: Expr, extents: Sequence[Number]) -> list[Expr]:
    """A flat index as one index for each extent, the last fastest."""
    parts: list[Expr] = []
    for position, extent in reversed(list(enumerate(extents))):
        if extent == 1:
            parts.append(0)
        elif position == 0 or all(e == 1 for e in extents[:position]):
            parts.append(index)
        else:
            parts.append(mod(index, extent))
            index = div(index, extent)
    return parts[::-1]


def div(index: Expr, divisor: Expr) -> Expr:
    """The quotient of an index, which is never negative."""
    if isinstance(divisor, int) and divisor == 1:
        return index
    if is_number(index) and is_number(divisor):
        return index // divisor
    if isinstance(divisor, int):
        return tirx.indexdiv(expression(index), divisor)
    return tirx.truncdiv(expression(index), expression(divisor))


def mod(index: Expr, divisor: Expr) -> Expr:
    """The remainder of an index, which is never negative."""
    if isinstance(divisor, int) and divisor == 1:
        return 0
    if is_number(index) and is_number(divisor):
        return index % divisor
    if isinstance(divisor, int):
        return tirx.indexmod(expression(index), divisor)
    return tirx.truncmod(expression(index), expression(divisor))


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller of two whole numbers."""
    if is_number(a) and is_number(b):
        return smallest(a, b)
    return tirx.min(expression(a), expression(b))


def maximum(a: Expr, b: Expr) -> Expr:
    """The larger of two whole numbers."""
    if is_number(a) and is_number(b):
        return largest(a, b)
    return tirx.max(expression(a), expression(b))


INDICES = {**WORDS, "divide": div, "remainder": mod, "maximum": maximum, "minimum": minimum}
"""The functions of formulas of indices."""


def choose(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """One of two whole numbers."""
    if isinstance(condition, bool):
        return yes if condition else no
    return tirx.Select(condition, tirx.const(yes, "int32"), tirx.const(no, "int32"))


def negated(condition: Expr) -> Expr:
    """The opposite of a condition, known or not."""
    return not condition if isinstance(condition, bool) else tirx.Not(condition)


def address(buffer: Any, offset: int) -> Expr:
    """A pointer into a buffer, `offset` floats behind its start."""
    return tirx.address_of(tirx.BufferLoad(buffer, [offset]))


def from_lane(first: Expr, inside: Expr, outside: Expr, lanes: int) -> Expr:
    """The lanes of one vector from number `first` on, before those of another one."""
    first = tirx.const(first, "int32") if isinstance(first, int) else first
    if lanes == 1:
        return tirx.Select(first <= 0, inside, outside)
    numbers = tirx.Ramp(tirx.const(0, "int32"), tirx.const(1, "int32"), lanes)
    return tirx.Select(numbers >= tirx.Broadcast(first, lanes), inside, outside)


def all_of(conditions: Sequence[Expr]) -> Expr:
    """True if all conditions hold; True or False themselves where that is known."""
    if any(c is False for c in conditions):
        return False
    open_ones = [c for c in conditions if c is not True]
    if not open_ones:
        return True
    return open_ones[0] if len(open_ones) == 1 else tirx.all(*open_ones)
