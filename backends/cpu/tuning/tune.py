"""Variants of kernels, timed on this machine: the fastest of each is kept for compilations."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from cnndsl.backends.cpu.codegen.objects import compiler
from cnndsl.backends.cpu.features import host_model, missing_features
from cnndsl.backends.cpu.kernels import candidates
from cnndsl.backends.cpu.machine import Machine, machine_for
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.functions import symbol_of
from cnndsl.backends.cpu.program.lower import Program, Step, lower
from cnndsl.backends.cpu.runtime.library import available_cores
from cnndsl.backends.cpu.tuning.timing import Timer
from cnndsl.backends.native.packing import pack
from cnndsl.backends.native.tuning import Choices, Trial, run_trials, trials_of
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.tuning import Tuned

HEAT, FINAL = 9, 41
"""Calls of each variant, and then of those that seem the fastest."""
FINALISTS = 3
"""Variants that are timed again beside the default."""


def choices_for(options: CpuOptions) -> Choices:
    """What has been measured on this CPU with the threads of some options."""
    origin = ("cpu", _threads(options), host_model(), *compiler())
    return Choices(lambda call: replace(call, variant="").key(), *origin)


def tune(graph: Graph, options: CpuOptions) -> tuple[Tuned, ...]:
    """See `cnndsl.runtime.tuning.Tuner`. Raises CnnError as compilations do."""
    program = lower(graph, options.batch or 1, machine_for(graph, options))
    return tune_program(program, options, choices_for(options))


def tune_program(program: Program, options: CpuOptions, choices: Choices) -> tuple[Tuned, ...]:
    """Time up to `options.tune` variants of each kernel that the cost models have chosen.

    Raises CnnError (E0724) if this CPU cannot run the code.
    """
    for machine in {step.call.machine for step in program.steps}:
        _require_host(machine)
    weights = pack((step.node, step.kernel.weights) for step in program.steps).size

    def seconds_of(trial: Trial[Step]) -> tuple[dict[str, float], float]:
        timer = Timer(tuple(trial.variants.values()), _threads(options), weights)
        return _seconds(timer, tuple(trial.variants)), timer.reader

    trials = trials_of(program.steps, symbol_of, lambda step: _variants(step, options.tune))
    return run_trials(trials, choices, seconds_of, options.progress)


def _threads(options: CpuOptions) -> int:
    return options.threads or available_cores()


def _require_host(machine: Machine) -> None:
    missing = missing_features(machine.features)
    if machine.triple or missing:
        lacking = f", which lacks {', '.join(missing)}" if missing else ""
        raise CnnError.of(
            "E0724",
            f"code for {machine.cpu} cannot be timed on this CPU{lacking}",
            hint="leave --tune out, or tune on a machine of that kind",
        )


def _variants(step: Step, count: int) -> dict[str, Step]:
    """A step with each of its kernels by name, the first being its own."""
    found: dict[str, Step] = {}
    for candidate in islice(candidates(step.call), count):
        call = replace(step.call, variant=candidate.name)
        other = replace(step, call=call, kernel=candidate.make()) if found else step
        found[candidate.name] = other
    return found


def _seconds(timer: Timer, names: tuple[str, ...]) -> dict[str, float]:
    """Time all variants, then the fastest ones and the default again, by name."""
    heat = timer.seconds(range(len(names)), HEAT)
    ranked = sorted(range(1, len(heat)), key=lambda index: heat[index])
    finalists = [0, *ranked[:FINALISTS]]
    times = timer.seconds(finalists, FINAL)
    return {names[index]: seconds for index, seconds in zip(finalists, times, strict=True)}
