"""What arguments of items take, besides the kinds of operators' attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.ir.attributes import COUNT, NUMBER, POSITIVE, SHARE, Kind
from cnndsl.ir.operators import BY_NAME


def _from_zero(value: Any) -> float:
    number: float = NUMBER.convert(value)
    if number < 0:
        raise ValueError
    return number


def _below_one(value: Any) -> float:
    number = _from_zero(value)
    if number >= 1:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _operator(value: Any) -> str:
    """The name of an operator that is given itself, or by name."""
    name = getattr(value, "name", value) if isinstance(value, type) else value
    if not isinstance(name, str) or name not in BY_NAME:
        raise ValueError
    return name


def _one_or_more(one: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def convert(value: Any) -> tuple[Any, ...]:
        items = value if isinstance(value, list | tuple) else [value]
        if not items:
            raise ValueError
        return tuple(map(one, items))

    return convert


def _rising(one: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def convert(value: Any) -> tuple[Any, ...]:
        found = _one_or_more(one)(value)
        if list(found) != sorted(set(found)):
            raise ValueError
        return found

    return convert


def _between(one: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    def convert(value: Any) -> tuple[Any, Any]:
        pair = value if isinstance(value, list | tuple) else [value, value]
        if len(pair) != 2:
            raise ValueError
        least, most = map(one, pair)
        if least > most:
            raise ValueError
        return least, most

    return convert


FROM_ZERO = Kind("a number from 0", _from_zero)
BELOW_ONE = Kind("a number from 0, below 1", _below_one)
TEXT = Kind("a text in quotes", _text)
OPERATORS = Kind("an operator, or a list of operators", _one_or_more(_operator))
PATHS = Kind('a path in quotes such as "fc*", or a list of them', _one_or_more(_text))
EPOCHS = Kind("a number over 0, or a rising list of them", _rising(POSITIVE.convert))
STEPS = Kind("a whole number from 1, or a rising list of them", _rising(COUNT.convert))
PIXELS = Kind("a whole number from 1, or [least, most]", _between(COUNT.convert))
RANGE = Kind("a number over 0, or [least, most]", _between(POSITIVE.convert))
SHARES = Kind("a number over 0, at most 1, or [least, most]", _between(SHARE.convert))
