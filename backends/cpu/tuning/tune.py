"""Variants of kernels, timed on this machine: the fastest of each is kept for compilations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice

from cnndsl.backends.cpu.features import missing_features
from cnndsl.backends.cpu.kernels import candidates
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.program.functions import symbol_of
from cnndsl.backends.cpu.program.lower import Program, Step
from cnndsl.backends.cpu.tuning.choices import Choices, Measured
from cnndsl.backends.cpu.tuning.timing import Timer
from cnndsl.backends.native.packing import pack
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.tuning import Progress, Tuned

HEAT, FINAL = 9, 41
"""Calls of each variant, and then of those that seem the fastest."""
FINALISTS = 3
"""Variants that are timed again beside the default."""
MARGIN = 0.03
"""By which share of the default's time, that of the reader included, a variant must be faster."""


@dataclass(frozen=True)
class _Task:
    """A kernel of a program, and the names of the variants to be timed, the default first.

    `steps` are the first step that it computes, with each of the variants.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...]
    launches: int


def tune_program(
    program: Program, count: int, choices: Choices, progress: Progress
) -> tuple[Tuned, ...]:
    """Time up to `count` variants of each kernel of a program that the cost models have chosen.

    What `choices` know of already is not measured again; they are told of each kernel as soon as
    it is done. Raises CnnError (E0724) if this CPU cannot run the code.
    """
    for machine in {step.call.machine for step in program.steps}:
        _require_host(machine)
    weights = pack((step.node, step.kernel.weights) for step in program.steps).size
    tasks = _tasks(program, count)
    rows = []
    for done, task in enumerate(tasks):
        progress("tuning", done, len(tasks))
        call = task.steps[0].call
        measured = choices.get(call)
        if measured is None or not set(task.names) <= set(measured.variants):
            measured = _measure(task, Timer(task.steps, choices.threads, weights))
            choices.keep(call, measured)
        rows.append(_row(task, measured))
    progress("tuning", len(tasks), len(tasks))
    return tuple(rows)


def _require_host(machine: Machine) -> None:
    missing = missing_features(machine.features)
    if machine.triple or missing:
        lacking = f", which lacks {', '.join(missing)}" if missing else ""
        raise CnnError.of(
            "E0724",
            f"code for {machine.cpu} cannot be timed on this CPU{lacking}",
            hint="leave --tune out, or tune on a machine of that kind",
        )


def _tasks(program: Program, count: int) -> list[_Task]:
    """All different kernels of which there are several variants."""
    launches = Counter(map(symbol_of, program.steps))
    different = {symbol_of(step): step for step in reversed(program.steps)}
    tasks = []
    for symbol, step in reversed(different.items()):
        offered = list(islice(candidates(step.call), count))
        variants = [
            replace(step, call=replace(step.call, variant=found.name), kernel=found.make())
            for found in offered[1:]
        ]
        if variants:
            names = tuple(found.name for found in offered)
            tasks.append(_Task(names, (step, *variants), launches[symbol]))
    return tasks


def _measure(task: _Task, timer: Timer) -> Measured:
    """Time all variants, then the fastest ones and the default again."""
    heat = timer.seconds(range(len(task.names)), HEAT)
    ranked = sorted(range(1, len(heat)), key=lambda index: heat[index])
    finalists = [0, *ranked[:FINALISTS]]
    times = timer.seconds(finalists, FINAL)
    seconds, fastest = min(zip(times, finalists, strict=True))
    if times[0] - seconds < MARGIN * (times[0] + timer.reader):
        seconds, fastest = times[0], 0
    return Measured(task.names, task.names[0], times[0], task.names[fastest], seconds)


def _row(task: _Task, measured: Measured) -> Tuned:
    return Tuned(
        task.steps[0].node,
        task.launches,
        len(measured.variants),
        measured.default,
        measured.default_seconds,
        measured.fastest,
        measured.fastest_seconds,
    )
