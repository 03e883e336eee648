"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A number in a range that is neither NaN nor infinite."""

    def _describe_range(self) -> str:
        """For the help; click writes `x<=None` where there is no limit."""
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Seed(click.IntRange):
    """A seed of random numbers, from 0 to 2^63 - 1."""

    def __init__(self) -> None:
        super().__init__(0, 2**63 - 1)

    def _describe_range(self) -> str:
        """For the help, where a number of 19 digits breaks in two on a narrow terminal."""
        return "0<=x<2^63"
