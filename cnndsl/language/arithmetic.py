"""Arithmetic and comparison of values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Node
from cnndsl.language import limits
from cnndsl.language.messages import Problem
from cnndsl.language.values import Applicable, kind_of

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
JOINED = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
"""The joins that compute with values of the network."""

_COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def negated(value: Any, span: Span) -> Any:
    """-value. Raises Problem."""
    if isinstance(value, bool) or not isinstance(value, int | float | OpenDim):
        raise Problem("E0208", f"cannot negate {kind_of(value)}", span)
    return -value


def calculated(sign: str, left: Any, right: Any, span: Span) -> Any:
    """The value of `left sign right`. Raises Problem."""
    if sign in _COMPARISON:
        return _compared(sign, left, right, span)
    if isinstance(left, list) and sign in "+*":
        return _lists(sign, left, right, span)
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float | OpenDim):
            join = JOINED.get(sign) if isinstance(left, Node) or isinstance(right, Node) else None
            raise Problem(
                "E0208",
                f"cannot calculate {kind_of(left)} {sign} {kind_of(right)}",
                span,
                hint=join and f"values are joined: {join} {{ … | … }}; with numbers: scale(2, 1)",
            )
    if sign == "**" and not isinstance(right, OpenDim) and abs(right) > limits.EXPONENT:
        raise Problem("E0502", f"the exponent is over {limits.EXPONENT:,}", span)
    try:
        result = ARITHMETIC[sign](left, right)
    except ZeroDivisionError:
        raise Problem("E0207", "division by zero", span) from None
    except OverflowError:
        raise too_large("the number", span) from None
    except TypeError:
        raise Problem(
            "E0214",
            f"{sign} does not work on open sizes",
            span,
            hint="they take +, -, // and whole factors; --input-shape gives them numbers",
        ) from None
    return checked_number(result, span)


def _compared(sign: str, left: Any, right: Any, span: Span) -> bool:
    if isinstance(left, OpenDim) or isinstance(right, OpenDim):
        raise Problem(
            "E0214",
            "this depends on a size that is open",
            span,
            hint="declare the input with numbers, or give --input-shape",
        )
    equality = sign in ("==", "!=")
    numbers = all(isinstance(v, int | float) for v in (left, right))
    if not equality and not numbers:
        raise Problem(
            "E0208",
            f"cannot compare {kind_of(left)} {sign} {kind_of(right)}",
            span,
        )
    if equality and isinstance(left, Applicable) and isinstance(right, Applicable):
        left, right = left.target, right.target
    return bool(_COMPARISON[sign](left, right))


def _lists(sign: str, left: list[Any], right: Any, span: Span) -> list[Any]:
    if sign == "+" and isinstance(right, list):
        length = len(left) + len(right)
    elif sign == "*" and type(right) is int:
        length = len(left) * max(right, 0)
    else:
        raise Problem("E0208", f"cannot calculate a list {sign} {kind_of(right)}", span)
    if length > limits.LOOP_COUNT:
        raise too_long(span)
    joined: list[Any] = ARITHMETIC[sign](left, right)
    return joined


def too_long(span: Span) -> Problem:
    """What is said of a list beyond all bounds, most of which are kernels or tables."""
    return Problem(
        "E0502",
        f"the list has more than {limits.LOOP_COUNT:,} items",
        span,
        hint='crop and pad cut and shift maps; load("numbers.npy") reads the numbers of a file',
    )


def too_large(what: str, span: Span) -> Problem:
    """What is said of a number beyond all bounds."""
    return Problem("E0502", f"{what} is too large: {limits.MAGNITUDE:,} at most", span)


def checked_number(value: Any, span: Span) -> Any:
    """The value itself, unless it is a number beyond all bounds. Raises Problem."""
    if isinstance(value, complex):
        raise Problem("E0208", "the result is not a real number", span)
    if isinstance(value, int | float) and not abs(value) <= limits.MAGNITUDE:
        raise too_large("the number", span)
    return value
