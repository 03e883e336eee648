"""Whole numbers made of the indices of an element: where elements that are moved come from.

Formulas are made by arithmetic from `axis(k)`, the index on axis k of the result, and from numbers.
What is divided is never negative.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

WORDS: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "multiply": operator.mul,
    "divide": operator.floordiv,
    "remainder": operator.mod,
    "maximum": max,
    "minimum": min,
}
"""The functions of formulas, in Python's words."""


@dataclass(frozen=True)
class Index:
    """A function of two formulas, or one of the leaves: an axis or a number, by `value`."""

    function: str
    operands: tuple[Index, ...] = ()
    value: int = 0

    def __add__(self, other: Index | int) -> Index:
        return self if other == 0 else _made("add", self, other)

    def __sub__(self, other: int) -> Index:
        return self + -other

    def __rsub__(self, other: int) -> Index:
        return self * -1 + other

    def __mul__(self, factor: int) -> Index:
        return self if factor == 1 else _made("multiply", self, factor)

    def __floordiv__(self, divisor: int) -> Index:
        return self if divisor == 1 else _made("divide", self, divisor)

    def __mod__(self, divisor: int) -> Index:
        return number(0) if divisor == 1 else _made("remainder", self, divisor)

    def compute(
        self,
        axes: Sequence[Value | int],
        words: Mapping[str, Callable[[Any, Any], Any]] = WORDS,
    ) -> Value | int:
        """The value for an element, in a backend's words; numbers are Python's."""
        if self.function == "axis":
            return axes[self.value]
        if self.function == "number":
            return self.value
        a, b = (part.compute(axes, words) for part in self.operands)
        found: Value | int = words[self.function](a, b)
        return found

    @property
    def axes(self) -> frozenset[int]:
        """The axes of the result that it depends on."""
        own = {self.value} if self.function == "axis" else set()
        return frozenset(own).union(*(part.axes for part in self.operands))

    def bounds(self, extents: Sequence[int]) -> tuple[int, int]:
        """The least and the largest value it can have in a result of such sizes, or beyond."""
        if self.function == "axis":
            return 0, extents[self.value] - 1
        if self.function == "number":
            return self.value, self.value
        first, second = (part.bounds(extents) for part in self.operands)
        if self.function == "remainder":
            return 0, min(first[1], second[1] - 1)
        ends = [WORDS[self.function](a, b) for a in first for b in second]
        return min(ends), max(ends)


def axis(number: int) -> Index:
    """The index of the result on one of its axes, 0 being the channels."""
    return Index("axis", (), number)


def number(value: int) -> Index:
    """The same for all elements."""
    return Index("number", (), value)


def maximum(a: Index | int, b: Index | int) -> Index:
    """The larger of two."""
    return _made("maximum", a, b)


def minimum(a: Index | int, b: Index | int) -> Index:
    """The smaller of two."""
    return _made("minimum", a, b)


def flat(sizes: Sequence[int]) -> Index:
    """The number of an element of a result of such sizes, the last axis fastest."""
    found = axis(0)
    for place, size in enumerate(sizes[1:], start=1):
        found = found * size + axis(place)
    return found


def unflat(index: Index, sizes: Sequence[int]) -> tuple[Index, ...]:
    """The element with a number, its index on each axis, the last one fastest."""
    found: list[Index] = []
    for size in reversed(sizes[1:]):
        found.append(index % size)
        index = index // size
    return (index, *reversed(found))


def _made(function: str, *operands: Index | int) -> Index:
    return Index(function, tuple(o if isinstance(o, Index) else number(o) for o in operands))
