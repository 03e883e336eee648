"""Functions and constants of the language: arithmetic on numbers and lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from cnndsl.ir.attributes import PADDING_MODES
from cnndsl.language import limits

SHAPE_NAMES = ("channels", "length", "depth", "height", "width")
"""Readable sizes of the value at hand."""

CONSTANTS: dict[str, str] = {mode: mode for mode in PADDING_MODES}
"""Names that stand for themselves."""


def _numbers(values: tuple[Any, ...]) -> list[Any]:
    """The arguments of min, max and sum: numbers, or one list of numbers."""
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    if not items or any(isinstance(v, bool) or not isinstance(v, int | float) for v in items):
        raise TypeError
    return list(items)


def _real(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _limited(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.append(value)
        if len(found) > limits.LOOP_COUNT:
            raise OverflowError
    return found


def _range(*bounds: Any) -> list[Any]:
    if not 1 <= len(bounds) <= 3 or any(type(b) is not int for b in bounds):
        raise TypeError
    return _limited(range(*bounds))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


FUNCTIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "abs": ("abs(number)", lambda x: abs(_real(x))),
    "ceil": ("ceil(number)", lambda x: math.ceil(_real(x))),
    "enumerate": ("enumerate(list)", lambda v: [[i, item] for i, item in enumerate(_list(v))]),
    "float": ("float(number)", lambda x: float(_real(x))),
    "floor": ("floor(number)", lambda x: math.floor(_real(x))),
    "int": ("int(number), rounded towards 0", lambda x: int(_real(x))),
    "len": ("len(list)", lambda v: len(_list(v))),
    "max": ("max(numbers…) or max(list)", lambda *v: max(_numbers(v))),
    "min": ("min(numbers…) or min(list)", lambda *v: min(_numbers(v))),
    "range": ("range(stop), range(start, stop) or range(start, stop, step)", _range),
    "reversed": ("reversed(list)", lambda v: list(reversed(_list(v)))),
    "round": ("round(number)", lambda x: round(_real(x))),
    "sqrt": ("sqrt(number)", lambda x: math.sqrt(_real(x))),
    "sum": ("sum(list)", lambda v: sum(_numbers((_list(v),)) if v else [])),
    "zip": ("zip(list, list…)", lambda *v: [list(t) for t in zip(*map(_list, v), strict=False)]),
}
"""Name to (how it is called, what it does). They raise TypeError, ValueError or OverflowError."""
