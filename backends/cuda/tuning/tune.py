"""Variants of kernels, timed on a GPU: the fastest of each is kept for later compilations."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from cnndsl import __version__
from cnndsl.backends.cuda.kernel import kernel_text
from cnndsl.backends.cuda.kernels import candidates
from cnndsl.backends.cuda.lower import Step, lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.objects import make_code
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.source import kernels, shared_text
from cnndsl.backends.cuda.tuning.timing import Timer
from cnndsl.backends.native.tuning import Choices, Trial, run_trials, trials_of
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.module import require_float32
from cnndsl.runtime.tuning import Tuned


def choices_of_gpus() -> Choices:
    """What has been measured on GPUs, each of the architecture of a call."""
    return Choices(repr, "cuda", __version__, shared_text())


def tune(graph: Graph, options: CudaOptions) -> tuple[Tuned, ...]:
    """See `cnndsl.runtime.tuning.Tuner`.

    Raises CnnError: E0611 if a size is open, E0740 for an unknown architecture or precision, E0741
    without a CUDA compiler, E0742 to E0745 as modules on the GPU do.
    """
    require_known_sizes(graph)
    require_float32(graph)
    machine = find_machine(options.arch, options.precision)
    program = lower(graph, options.batch or 1, machine)
    trials = trials_of(
        program.steps, lambda step: step.symbol, lambda step: _variants(step, options.tune)
    )
    sources = kernels(step for trial in trials for step in trial.variants.values())
    code, _ = make_code(sources, options.progress)
    timer = _timer(options.arch, len(sources))

    def seconds_of(trial: Trial[Step]) -> tuple[dict[str, float], float]:
        default, *_ = trial.variants
        return {
            name: timer.seconds(code[step.symbol].cubin, step)
            for name, step in trial.variants.items()
            if name == default or not code[step.symbol].resources.spills
        }, 0.0

    return run_trials(trials, choices_of_gpus(), seconds_of, options.progress)


def _variants(step: Step, count: int) -> dict[str, Step]:
    """A step with each of its kernels by name, the first being its own."""
    found: dict[str, Step] = {}
    for kernel in islice(candidates(step.call), count):
        symbol, text = kernel_text(step.call, kernel)
        found[kernel.variant] = replace(step, kernel=kernel, symbol=symbol, text=text)
    return found


def _timer(arch: str, variants: int) -> Timer:
    try:
        return Timer(arch)
    except CnnError as error:
        found = error.diagnostics[0]
        if found.code != "E0742":
            raise
        raise CnnError.of(
            "E0742",
            f"tuning needs a GPU: {found.message}",
            hint=f"the model of time chooses; {variants} variants are compiled for where one is",
        ) from None
