"""Schedules: what the rate of the optimiser is multiplied by at a time in epochs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import COUNT, POSITIVE, PROBABILITY, SHARE, attribute, optional
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import EPOCHS, STEPS

EVERY = 30
"""Epochs between the falls of `step` where nothing is said."""


@dataclass(frozen=True)
class Course:
    """Where training stands: steps that are done, those of an epoch, and all epochs there are.

    `warmup` are the epochs of warm-up, `errors` the held-out errors of the epochs that are done.
    """

    step: int
    steps: int
    epochs: float
    warmup: float = 0
    errors: Sequence[float] = ()

    @property
    def epoch(self) -> float:
        """Epochs that are done."""
        return self.step / self.steps


class Schedule(Item):
    """How the rate falls."""

    slot: ClassVar[str] = "schedule"

    def factor_at(self, course: Course) -> float:
        """What the rate is multiplied by."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The rate stays."""

    name: ClassVar[str] = "constant"

    def factor_at(self, course: Course) -> float:
        """One."""
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times `factor` each `every` epochs, 30; or behind the epochs, or steps, of a list.

    `step(0.1, at=[30, 60])`, `step(0.1, at_steps=[32000, 48000])`.
    """

    name: ClassVar[str] = "step"

    factor: float = attribute(POSITIVE, 0.1)
    every: float | None = attribute(optional(POSITIVE), None)
    at: tuple[float, ...] | None = attribute(optional(EPOCHS), None)
    at_steps: tuple[int, ...] | None = attribute(optional(STEPS), None)

    def factor_at(self, course: Course) -> float:
        """factor^n, n of the falls being over."""
        if self.at is not None:
            falls: float = bisect_right(self.at, course.epoch)
        elif self.at_steps is not None:
            falls = bisect_right(self.at_steps, course.step)
        else:
            falls = course.epoch // (self.every or EVERY)
        try:
            return math.pow(self.factor, falls)
        except OverflowError:  # a factor over 1
            return math.inf


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate times factor^(epoch / every), smoothly."""

    name: ClassVar[str] = "exponential"

    factor: float = attribute(SHARE, 0.95)
    every: float = attribute(POSITIVE, 1.0)

    def factor_at(self, course: Course) -> float:
        """factor^(epoch / every)."""
        return math.pow(self.factor, course.epoch / self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `last` by half a wave, behind the warm-up. Source: Loshchilov, Hutter (2017)."""

    name: ClassVar[str] = "cosine"

    last: float = attribute(PROBABILITY, 0.0)

    def factor_at(self, course: Course) -> float:
        """last + (1 - last) (1 + cos(pi share)) / 2."""
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * _share(course))) / 2


@dataclass(frozen=True)
class Polynomial(Schedule):
    """(1 - share)^power of the epochs behind the warm-up; a power of 1 is a straight line."""

    name: ClassVar[str] = "polynomial"

    power: float = attribute(POSITIVE, 1.0)

    def factor_at(self, course: Course) -> float:
        """(1 - share)^power."""
        return math.pow(1 - _share(course), self.power)


@dataclass(frozen=True)
class Plateau(Schedule):
    """The rate times `factor` whenever `patience` epochs brought no smaller held-out error."""

    name: ClassVar[str] = "plateau"

    factor: float = attribute(SHARE, 0.1)
    patience: int = attribute(COUNT, 5)

    def factor_at(self, course: Course) -> float:
        """factor^n, n plateaus being over."""
        best, waited, falls = math.inf, 0, 0
        for error in course.errors:
            waited = 0 if error < best else waited + 1
            best = min(best, error)
            if waited == self.patience:
                falls, waited = falls + 1, 0
        return math.pow(self.factor, falls)


def _share(course: Course) -> float:
    """The share of the epochs behind the warm-up that is over."""
    return min((course.epoch - course.warmup) / max(course.epochs - course.warmup, 1e-9), 1)


@dataclass(frozen=True)
class Warmup(Item):
    """In the first `epochs` the rate grows step by step from `start` times to the optimiser's.

    What the schedule gives holds behind them. Source: Goyal et al. (2017), section 2.2.
    """

    name: ClassVar[str] = "warmup"
    slot: ClassVar[str] = "warmup"

    epochs: float = attribute(POSITIVE)
    start: float = attribute(PROBABILITY, 0.0)

    def factor_at(self, course: Course) -> float | None:
        """What the rate is multiplied by; None behind the warm-up."""
        share = (course.step + 1) / (self.epochs * course.steps)
        return self.start + (1 - self.start) * share if share < 1 else None
