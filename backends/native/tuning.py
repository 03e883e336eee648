"""Variants of kernels, timed: the fastest of each is kept for later compilations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from cnndsl.runtime.cache import Store
from cnndsl.runtime.tuning import Progress, Tuned

KIND = "tuning"
MARGIN = 0.03
"""By which share of the default's time a variant must be faster."""

Step = TypeVar("Step")


@dataclass(frozen=True)
class Trial(Generic[Step]):
    """A kernel of a program: the first node and call that it computes, and its launches.

    `variants` are the steps to choose from by the names of their kernels; the first is the
    default, which is taken without measurements.
    """

    node: str
    call: Any
    launches: int
    variants: Mapping[str, Step]


@dataclass(frozen=True)
class Measured:
    """The variants of a kernel that were timed, and what came of it; seconds are those of a call.

    `fastest` is the `default` unless another variant is clearly faster.
    """

    variants: tuple[str, ...]
    default: str
    default_seconds: float
    fastest: str
    fastest_seconds: float


class Choices:
    """What has been measured for calls, where `origin` is what times follow from besides these.

    `key` is equal for calls that take the same time. What is kept is found by this object even if
    the cache is off.
    """

    def __init__(self, key: Callable[[Any], str], *origin: Any):
        self._key, self._origin = key, origin
        self._store = Store(KIND)
        self._known: dict[str, Measured | None] = {}

    def get(self, call: Any) -> Measured | None:
        """What was measured for a call, if that has been done."""
        key = repr((self._key(call), *self._origin))
        if key not in self._known:
            entry = self._store.get(key)
            self._known[key] = _read(entry) if entry else None
        return self._known[key]

    def keep(self, call: Any, measured: Measured) -> None:
        """Let later compilations take the fastest variant."""
        key = repr((self._key(call), *self._origin))
        self._known[key] = measured
        self._store.put(key, json.dumps(asdict(measured)).encode())

    def variant_of(self, call: Any) -> str:
        """The variant to take for a call; no name stands for the default."""
        measured = self.get(call)
        return "" if not measured or measured.fastest == measured.default else measured.fastest


def _read(entry: bytes) -> Measured:
    found = json.loads(entry)
    return Measured(**{**found, "variants": tuple(found["variants"])})


def trials_of(
    steps: Sequence[Any],
    symbol_of: Callable[[Any], str],
    variants_of: Callable[[Any], dict[str, Any]],
) -> list[Trial[Any]]:
    """All different kernels of a program, by their symbols, of which there are several variants."""
    launches = Counter(map(symbol_of, steps))
    first = {symbol_of(step): step for step in reversed(steps)}
    trials = [
        Trial(step.node, step.call, launches[symbol], variants_of(step))
        for symbol, step in reversed(first.items())
    ]
    return [trial for trial in trials if len(trial.variants) > 1]


def run_trials(
    trials: Sequence[Trial[Step]],
    choices: Choices,
    seconds_of: Callable[[Trial[Step]], tuple[Mapping[str, float], float]],
    progress: Progress,
) -> tuple[Tuned, ...]:
    """Time the variants of kernels, but for those that `choices` know of already.

    `seconds_of` tells the time of the default and of all variants that may be the fastest by name,
    and what was measured with each and taken off. Choices are told of a kernel as soon as it is
    done.
    """
    rows = []
    for done, trial in enumerate(trials):
        progress("tuning", done, len(trials))
        found = choices.get(trial.call)
        if found is None or not trial.variants.keys() <= set(found.variants):
            found = _measured(tuple(trial.variants), *seconds_of(trial))
            choices.keep(trial.call, found)
        row = {**asdict(found), "variants": len(found.variants)}
        rows.append(Tuned(trial.node, trial.launches, **row))
    progress("tuning", len(trials), len(trials))
    return tuple(rows)


def _measured(names: tuple[str, ...], seconds: Mapping[str, float], overhead: float) -> Measured:
    default = names[0]
    fastest = min(seconds, key=lambda name: seconds[name])
    if seconds[default] - seconds[fastest] < MARGIN * (seconds[default] + overhead):
        fastest = default
    return Measured(names, default, seconds[default], fastest, seconds[fastest])
