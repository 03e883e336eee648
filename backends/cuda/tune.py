"""Variants of kernels, timed on a GPU: the fastest of each is kept for later compilations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from cnndsl.backends.cuda.choices import keep_fastest
from cnndsl.backends.cuda.code import Code, make_code
from cnndsl.backends.cuda.kernel import kernel_text
from cnndsl.backends.cuda.kernels import candidates
from cnndsl.backends.cuda.lower import Step, lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.source import kernels
from cnndsl.backends.cuda.timing import Timer
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.options import VARIANTS
from cnndsl.runtime.tuning import Progress, Tuned

MARGIN = 0.03
"""By which share of the default's time a variant must be faster."""


def tune(graph: Graph, options: CudaOptions, progress: Progress) -> tuple[Tuned, ...]:
    """See `cnndsl.backends.cuda.backend.CudaBackend.tune`."""
    require_known_sizes(graph)
    machine = find_machine(options.arch, options.precision)
    program = lower(graph, options.batch or 1, machine)
    launches = Counter(step.symbol for step in program.steps)
    different = {step.symbol: step for step in reversed(program.steps)}
    tasks = [_variants(step, options.tune or VARIANTS) for step in reversed(different.values())]
    tasks = [steps for steps in tasks if len(steps) > 1]
    sources = kernels(step for steps in tasks for step in steps)
    code, _ = make_code(sources, lambda done: progress("compiling", done, len(sources)))
    timer = _timer(options.arch, len(sources))
    rows = []
    for done, steps in enumerate(tasks, 1):
        rows.append(_fastest(steps, launches[steps[0].symbol], code, timer))
        progress("timing", done, len(tasks))
    return tuple(rows)


def _variants(step: Step, count: int) -> list[Step]:
    """A step with each of its kernels, first the one that is taken without measurements."""
    steps = []
    for kernel in islice(candidates(step.call), count):
        symbol, text = kernel_text(step.call, kernel)
        steps.append(replace(step, kernel=kernel, symbol=symbol, text=text))
    return steps


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


def _fastest(steps: Sequence[Step], launches: int, code: Mapping[str, Code], timer: Timer) -> Tuned:
    """Time the variants of a step but for those that spill registers, keep the fastest.

    The default is kept if none is faster by the margin.
    """
    default, *others = steps
    timed = [default, *(s for s in others if not code[s.symbol].resources.spills)]
    times = [timer.seconds(code[step.symbol].cubin, step) for step in timed]
    seconds, fastest = min(zip(times, timed, strict=True), key=lambda pair: pair[0])
    if times[0] - seconds < MARGIN * times[0]:
        seconds, fastest = times[0], default
    keep_fastest(fastest.call, fastest.kernel.variant)
    return Tuned(
        default.node,
        launches,
        len(timed),
        default.kernel.variant,
        times[0],
        fastest.kernel.variant,
        seconds,
    )
