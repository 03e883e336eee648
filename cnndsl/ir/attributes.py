"""Kinds of operator attributes: what a value may be, and its one stored form.

A kind turns what a user wrote (`3`, `[1, 7]`, `same`) into the form that operators keep, or
raises ValueError. Operators declare their attributes with `attribute(KIND, default)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from typing import Any, TypeAlias

from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.types import TensorType

Sizes: TypeAlias = tuple[int, ...]
"""One whole number for each spatial axis; a single one stands for every axis until bound."""

Padding: TypeAlias = str | tuple[tuple[int, int], ...]
"""A mode by name, or (before, after) for each axis; a single pair stands for every axis."""

LARGEST = 2**31 - 1
LARGEST_FLOAT, SMALLEST_FLOAT = 2.0**128 - 2.0**104, 2.0**-149
"""The positive numbers of float32, in which targets compute."""

PADDING_MODES = ("same", "valid", "full", "same_upper", "same_lower")


@dataclass(frozen=True)
class Kind:
    """`says` completes the sentence "stride takes …"; `convert` gives the stored form.

    `axes`: a tuple with one number, or pair, for each spatial axis, once bound. `words` are the
    names that it takes.
    """

    says: str
    convert: Callable[[Any], Any]
    axes: bool = False
    words: tuple[str, ...] = ()


def attribute(kind: Kind, default: Any = MISSING, *, by_keyword: bool = False) -> Any:
    """A dataclass field of the given kind; those by keyword come behind all others."""
    return field(default=default, metadata={"kind": kind}, kw_only=by_keyword)


@cache
def attribute_kinds(operator: type) -> Mapping[str, Kind]:
    """The attributes of an operator class in the order of its positional arguments."""
    return {f.name: f.metadata["kind"] for f in attributes(operator)}


def attributes(operator: type) -> list[Field[Any]]:
    """The attributes as fields in the order of positional arguments."""
    return sorted(fields(operator), key=lambda f: f.kw_only is True)


@cache
def required_attributes(operator: type) -> tuple[str, ...]:
    """Names of the attributes without a default."""
    return tuple(f.name for f in fields(operator) if f.default is MISSING)


def build(operator: type, values: Mapping[str, Any]) -> Any:
    """An instance from values as a user wrote them. Raises AttributeValueError."""
    kinds = attribute_kinds(operator)
    stored = {}
    for name, value in values.items():
        try:
            stored[name] = kinds[name].convert(value)
        except ValueError as error:
            reason = str(error) if isinstance(error, OutOfRange) else ""
            raise AttributeValueError(name, kinds[name].says, value, reason) from None
    return operator(**stored)


class OutOfRange(ValueError):
    """A number of the right kind is too large, or too near to zero; it says what limits it."""


class AttributeValueError(ValueError):
    """A value does not fit the kind of its attribute."""

    def __init__(self, name: str, says: str, value: Any, reason: str = ""):
        self.name, self.says = name, says
        shown = _written(value)
        shown = shown if len(shown) <= 40 else shown[:37] + "..."
        super().__init__(f"{name} takes {says}, not {shown}{reason and f' ({reason})'}")


def _written(value: Any) -> str:
    """A number, text, size or list as the language writes it; operators and values have no text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, TensorType):
        return f"a value of {value}"
    return str(value) if isinstance(value, int | float | str | OpenDim) else "another kind of value"


def _whole(least: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError
        if value > LARGEST:
            raise OutOfRange(f"at most {LARGEST:,}")
        return value

    return convert


def _sizes(least: int) -> Callable[[Any], Sizes]:
    one = _whole(least)

    def convert(value: Any) -> Sizes:
        if isinstance(value, list | tuple):
            if not 1 <= len(value) <= 3:
                raise ValueError
            return tuple(one(v) for v in value)
        return (one(value),)

    return convert


def _open_sizes(value: Any) -> tuple[Dim, ...]:
    """Sizes, some of which may follow from those of the input; of a type its spatial ones."""
    value = value.spatial if isinstance(value, TensorType) else value
    items = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(items) <= 3:
        raise ValueError
    one = _whole(1)
    return tuple(item if isinstance(item, OpenDim) else one(item) for item in items)


def _padding(value: Any) -> Padding:
    if isinstance(value, str):
        if value not in PADDING_MODES:
            raise ValueError
        return value
    return _sides(value)


def _sides(value: Any) -> tuple[tuple[int, int], ...]:
    one = _whole(0)
    items = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(items) <= 3:
        raise ValueError
    pairs = [item if isinstance(item, list | tuple) else (item, item) for item in items]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError
    return tuple((one(before), one(after)) for before, after in pairs)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if abs(value) > LARGEST_FLOAT:
        raise OutOfRange(f"float32 ends at {LARGEST_FLOAT:.7g}")
    return float(value)


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError
    if number < SMALLEST_FLOAT:
        raise OutOfRange(f"float32 starts at {SMALLEST_FLOAT:.1g}")
    return number


def _probability(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _share(value: Any) -> float:
    number = _positive(value)
    if number > 1:
        raise ValueError
    return number


def _white(value: Any) -> float:
    number = _number(value)
    if number not in (1, 255):
        raise ValueError
    return number


def _numbers(one: Callable[[Any], float]) -> Callable[[Any], tuple[float, ...]]:
    def convert(value: Any) -> tuple[float, ...]:
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError
            return tuple(one(v) for v in value)
        return (one(value),)

    return convert


def _factors(value: Any) -> tuple[float, ...]:
    factors = _numbers(_positive)(value)
    if len(factors) > 3:
        raise ValueError
    return factors


def _odd(value: Any) -> int:
    number = _whole(1)(value)
    if number % 2 == 0:
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _nested(value: Any) -> Any:
    """Nested lists of numbers as nested tuples of floats; must be rectangular."""
    if isinstance(value, list | tuple):
        items = tuple(_nested(v) for v in value)
        if not items or len({nested_shape(v) for v in items}) != 1:
            raise ValueError
        return items
    return _number(value)


def nested_shape(values: Any) -> tuple[int, ...]:
    """The shape of rectangular nested tuples; () for a number."""
    return (len(values), *nested_shape(values[0])) if isinstance(values, tuple) else ()


def _array(value: Any) -> Any:
    """Of one to four axes; a number is an array of one."""
    nested = _nested(value if isinstance(value, list | tuple) else [value])
    if len(nested_shape(nested)) > 4:
        raise ValueError
    return nested


def _known_shape(value: Any) -> Sizes:
    sizes = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(sizes) <= 4:
        raise ValueError
    return tuple(_whole(1)(size) for size in sizes)


def _table(value: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError
    one = _whole(0)
    rows = []
    for row in value:
        if not isinstance(row, list | tuple) or not row:
            raise ValueError
        rows.append(tuple(one(v) for v in row))
        if len(set(rows[-1])) < len(row):
            raise ValueError
    return tuple(rows)


def _axes(value: Any) -> Sizes:
    """Numbers of axes, each at most once."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 4:
        raise ValueError
    axes = tuple(map(_whole(0), value))
    if len(set(axes)) < len(axes):
        raise ValueError
    return axes


def _shape(value: Any) -> tuple[int, ...]:
    """Sizes, of which one may be -1."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 4:
        raise ValueError
    shape = tuple(-1 if n == -1 else _whole(1)(n) for n in value)
    if shape.count(-1) > 1:
        raise ValueError
    return shape


def choice(*names: str) -> Kind:
    """One of a few names."""

    def convert(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return Kind("one of " + ", ".join(names), convert, words=names)


def optional(kind: Kind) -> Kind:
    """The kind, or nothing (None)."""
    return replace(kind, convert=lambda value: None if value is None else kind.convert(value))


COUNT = Kind("a whole number from 1", _whole(1))
INDEX = Kind("a whole number from 0", _whole(0))
ODD = Kind("an odd whole number from 1", _odd)
SIZES = Kind("a whole number from 1, or a list with one for each axis", _sizes(1), True)
OPEN_SIZES = Kind(
    "a value of that size, a whole number from 1, or a list with one for each axis",
    _open_sizes,
    True,
)
FACTORS = Kind("a number over 0, or a list with one for each axis", _factors, True)
EXTENTS = Kind("a whole number from 0, or a list with one for each axis", _sizes(0), True)
PADDING = Kind(
    "same, valid, full, same_upper, same_lower, a whole number from 0, or a list with a number "
    "or a pair [before, after] for each axis",
    _padding,
)
SIDES = Kind(
    "a whole number from 0, or a list with a number or a pair [before, after] for each axis",
    _sides,
    True,
)
AXES = Kind("a list of all axes, from 0, in another order", _axes)
SHAPE = Kind("a list of one to four sizes, one of which may be -1", _shape)
NUMBER = Kind("a number", _number)
POSITIVE = Kind("a number over 0", _positive)
NUMBERS = Kind("a number, or a list with one for each channel", _numbers(_number))
POSITIVES = Kind("a number over 0, or a list with one for each channel", _numbers(_positive))
PROBABILITY = Kind("a number from 0 to 1", _probability)
SHARE = Kind("a number over 0, at most 1", _share)
WHITE = Kind("1 or 255", _white)
FLAG = Kind("true or false", _flag)
VALUES = Kind("numbers in nested lists of equal lengths", _nested)
ARRAY = Kind("a number, or nested lists of equal lengths: channels, then positions", _array)
KNOWN_SHAPE = Kind("a list of sizes: channels, then up to three of positions", _known_shape)
TABLE = Kind("for each output channel the list of its input channels (from 0)", _table)
