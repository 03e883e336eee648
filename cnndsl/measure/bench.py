"""Calls of several runtimes, timed in turns, each runtime alone in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from cnndsl.measure.runtimes import Job
from cnndsl.measure.worker import Worker
from cnndsl.runtime.layers import Peak

ROUNDS = 10


@dataclass(frozen=True)
class Timing:
    """Seconds of calls in several rounds, and bytes of memory at the peak.

    `peak` is what the running model needs, weights included, beyond the process that runs it.
    """

    rounds: tuple[tuple[float, ...], ...]
    peak: int

    @property
    def seconds(self) -> list[float]:
        """All calls."""
        return [seconds for calls in self.rounds for seconds in calls]

    def percentile(self, share: float) -> float:
        """The time that `share` percent of the calls stay below, interpolated."""
        return float(np.percentile(self.seconds, share))

    def throughput(self, batch: int) -> float:
        """Samples in a second."""
        return batch * len(self.seconds) / sum(self.seconds)

    def ratio(self, other: Timing) -> float:
        """How many times longer the other takes: the median over the rounds of both medians'."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return float(np.median([np.median(theirs) / np.median(ours) for ours, theirs in pairs]))


@dataclass(frozen=True)
class LayerTimes:
    """Seconds of each step of a program, the median of many passes; what the machine can do.

    `peak` is None where that cannot be measured.
    """

    seconds: tuple[float, ...]
    peak: Peak | None


@dataclass(frozen=True)
class Result:
    """The timing of each job, in order, and the first one's layers if they were asked for."""

    timings: tuple[Timing, ...]
    layers: LayerTimes | None


def measure(
    jobs: Sequence[Job],
    seconds: float,
    *,
    layers: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Result:
    """Run every job for some seconds, in rounds of one turn each.

    The processes stay alive, but only one of them runs at a time. `progress` is told the share
    that is done. Raises CnnError if a job cannot be run.
    """
    with ExitStack() as stack:
        workers = []
        for job in jobs:
            workers.append(stack.enter_context(Worker(job)))
            workers[-1].ask("run", 0.0)
        rounds: list[list[tuple[float, ...]]] = [[] for _ in jobs]
        for index in range(ROUNDS):
            for worker, calls in zip(workers, rounds, strict=True):
                calls.append(tuple(worker.ask("run", seconds / ROUNDS)))
            progress((index + 1) / ROUNDS)
        timings = tuple(
            Timing(tuple(calls), worker.ask("peak_memory"))
            for worker, calls in zip(workers, rounds, strict=True)
        )
        return Result(timings, _layers(workers[0], seconds) if layers else None)


def _layers(worker: Worker, seconds: float) -> LayerTimes:
    passes = worker.ask("layers", seconds)
    return LayerTimes(tuple(np.median(passes, axis=0).tolist()), worker.ask("machine_peak"))
