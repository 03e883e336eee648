"""Sums of many terms, within 1e-6 of themselves.

A number in float32 has 24 bits: one that is added to a sum of a thousand of its kind loses ten of
them. So parts of a long sum are added up by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, div, minimum, vector
from cnndsl.backends.cpu.codegen.extents import Extent, Number
from cnndsl.backends.cpu.codegen.tir import Code

TOGETHER = 16
"""Terms of a part whose sum is formed in float32; parts are added up in float64."""

MANY = 1 << 20
"""What an axis of an open size is taken to have."""


@dataclass(frozen=True)
class Range:
    """`count` neighbouring indices, at most `most`, from `first` on."""

    first: Expr
    count: Expr
    most: int

    @classmethod
    def whole(cls, size: Number) -> Range:
        """All indices of an axis."""
        return cls(0, size, MANY if isinstance(size, Extent) else size)


class Total:
    """A sum in float64 of vectors in float32."""

    def __init__(self, code: Code, lanes: int):
        self._code, self._lanes = code, lanes
        zero = cast(vector(0.0, lanes), "float64", lanes)
        self._register = code.register(zero, lanes, "float64")

    def add(self, value: Expr) -> None:
        """Add a vector."""
        wide = cast(value, "float64", self._lanes)
        self._code.set(self._register, self._register.value + wide)

    @property
    def value(self) -> Expr:
        """The sum so far, rounded to float32."""
        return cast(self._register.value, "float32", self._lanes)


@contextmanager
def positions(code: Code, ranges: Sequence[Range]) -> Iterator[tuple[Expr, ...]]:
    """Nested loops over the positions of a box."""
    if not ranges:
        yield ()
        return
    axis, *rest = ranges
    with code.loop(axis.count) as offset, positions(code, rest) as inner:
        yield (code.name(axis.first + offset), *inner)


def summed(
    code: Code, lanes: int, ranges: Sequence[Range], term: Callable[[tuple[Expr, ...]], Expr]
) -> Expr:
    """The sum of the terms of all positions of a box."""
    return sums(code, lanes, ranges, 1, lambda position: [term(position)])[0]


def sums(
    code: Code,
    lanes: int,
    ranges: Sequence[Range],
    count: int,
    terms: Callable[[tuple[Expr, ...]], Sequence[Expr]],
) -> list[Expr]:
    """So many sums of terms of all positions of a box, formed side by side."""
    if math.prod(axis.most for axis in ranges) <= TOGETHER:
        return _short_sums(code, lanes, ranges, count, terms)
    *outer, last = ranges
    totals = [Total(code, lanes) for _ in range(count)]
    with positions(code, outer) as before:
        for part in _parts(code, last):
            values = _short_sums(code, lanes, [part], count, lambda at: terms((*before, *at)))
            for total, value in zip(totals, values, strict=True):
                total.add(value)
    return [total.value for total in totals]


def _short_sums(
    code: Code,
    lanes: int,
    ranges: Sequence[Range],
    count: int,
    terms: Callable[[tuple[Expr, ...]], Sequence[Expr]],
) -> list[Expr]:
    parts = [code.register(vector(0.0, lanes), lanes) for _ in range(count)]
    with positions(code, ranges) as position:
        for part, term in zip(parts, terms(position), strict=True):
            code.set(part, part.value + term)
    return [part.value for part in parts]


def _parts(code: Code, axis: Range) -> Iterator[Range]:
    """The parts of an axis, in loops."""
    if axis.most <= TOGETHER:
        yield axis
    elif isinstance(axis.count, int):
        whole, rest = divmod(axis.count, TOGETHER)
        with code.loop(whole) as index:
            yield Range(axis.first + index * TOGETHER, TOGETHER, TOGETHER)
        if rest:
            yield Range(axis.first + whole * TOGETHER, rest, rest)
    else:
        with code.loop(div(axis.count + (TOGETHER - 1), TOGETHER)) as index:
            start = code.name(index * TOGETHER)
            count = code.name(minimum(TOGETHER, axis.count - start))
            yield Range(axis.first + start, count, TOGETHER)
