"""Functions and constants of the language: arithmetic on numbers and lists."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.ir.attributes import PADDING_MODES
from cnndsl.ir.photo import WORDS as PHOTO_WORDS
from cnndsl.language import limits
from cnndsl.language.arrays import load_numbers


@dataclass(frozen=True)
class Size:
    """A size of the value at hand, by name."""

    name: str


@dataclass(frozen=True)
class Function:
    """What a function does, and how it is called.

    One that `reads` files is given the unit of the text first, and raises CnnError for the files.
    It raises TypeError for other arguments than it takes, ValueError with a message for numbers
    that it has no value for, OverflowError for a number that is too large, or CnnError for a list
    that is too long.
    """

    usage: str
    call: Callable[..., Any]
    reads: bool = False

    @property
    def name(self) -> str:
        """What stands before the parenthesis."""
        return self.usage.partition("(")[0]


SHAPE_NAMES = {name: Size(name) for name in ("channels", "length", "depth", "height", "width")}
"""Readable sizes of the value at hand."""

CONSTANTS: dict[str, str] = {word: word for word in (*PADDING_MODES, *PHOTO_WORDS)}
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


def _square_root(value: Any) -> float:
    if _real(value) < 0:
        raise ValueError(f"{value} has no real square root")
    return math.sqrt(value)


def _range(*bounds: Any) -> list[Any]:
    if not 1 <= len(bounds) <= 3 or any(type(b) is not int for b in bounds):
        raise TypeError
    if bounds[2:] == (0,):
        raise ValueError("a range needs a step other than 0")
    found = list(islice(range(*bounds), limits.LOOP_COUNT + 1))
    if len(found) > limits.LOOP_COUNT:
        raise CnnError.of("E0502", f"the list has more than {limits.LOOP_COUNT:,} items")
    return found


def _make_divisible(value: Any, divisor: Any = 8, least: Any = None) -> int:
    """The multiple nearest to a width, from `least` on, that is no more than 10% smaller.

    Source: Sandler et al. (2018), MobileNetV2, in the authors' code.
    """
    if type(divisor) is not int or divisor < 1:
        raise ValueError("make_divisible takes a whole divisor from 1")
    least = divisor if least is None else _real(least)
    found = max(least, int(_real(value) + divisor / 2) // divisor * divisor)
    return int(found + divisor if found < 0.9 * value else found)


def _enumerate(values: Any, start: Any = 0) -> list[Any]:
    if type(start) is not int:
        raise TypeError
    return [[i, item] for i, item in enumerate(_list(values), start)]


def _log(value: Any, *base: Any) -> float:
    if len(base) > 1:
        raise TypeError
    if _real(value) <= 0 or any(_real(b) <= 0 or b == 1 for b in base):
        raise ValueError("log takes a number above 0, and such a base, but 1")
    return math.log(value, *base)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


FUNCTIONS = {
    function.name: function
    for function in (
        Function("abs(number)", lambda x: abs(_real(x))),
        Function("ceil(number)", lambda x: math.ceil(_real(x))),
        Function("enumerate(list) or enumerate(list, start)", _enumerate),
        Function("exp(number)", lambda x: math.exp(_real(x))),
        Function("float(number)", lambda x: float(_real(x))),
        Function("floor(number)", lambda x: math.floor(_real(x))),
        Function("int(number), rounded towards 0", lambda x: int(_real(x))),
        Function("len(list)", lambda v: len(_list(v))),
        Function('load("numbers.npy")', load_numbers, reads=True),
        Function("log(number) or log(number, base)", _log),
        Function(
            "make_divisible(number), make_divisible(number, divisor) or "
            "make_divisible(number, divisor, least)",
            _make_divisible,
        ),
        Function("max(numbers…) or max(list)", lambda *v: max(_numbers(v))),
        Function("min(numbers…) or min(list)", lambda *v: min(_numbers(v))),
        Function("range(stop), range(start, stop) or range(start, stop, step)", _range),
        Function("reversed(list)", lambda v: list(reversed(_list(v)))),
        Function("round(number)", lambda x: round(_real(x))),
        Function("sqrt(number)", _square_root),
        Function("sum(list)", lambda v: sum(_numbers((_list(v),)) if v else [])),
        Function("zip(list, list…)", lambda *v: list(map(list, zip(*map(_list, v), strict=False)))),
    )
}
