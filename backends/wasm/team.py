"""The program of one core for several: the same weights, the same sums in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cnndsl.backends.cpu.codegen.extents import nominal
from cnndsl.backends.cpu.kernels import candidates, choose, has_variants
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.backends.cpu.program.lower import Program, Step


def for_team(program: Program, cores: int) -> Program:
    """The steps divided among so many cores; the plan of memory and the packed weights stay.

    A step whose kernels for several cores read other weights, or sum up in other parts, stays as it
    is, work for the first core alone.
    """
    steps = tuple(_divided(step, cores) for step in program.steps)
    scratch = max((nominal(step.kernel.scratch) for step in steps), default=0)
    return replace(program, steps=steps, arena=program.scratch + scratch)


def _divided(step: Step, cores: int) -> Step:
    call = replace(step.call, machine=replace(step.call.machine, cores=cores))
    for variant, kernel in _kernels(call):
        if _sums(call, kernel) == _sums(call, step.kernel):
            return replace(step, call=variant, kernel=kernel)
    return step


def _sums(call: Call[Any], kernel: Kernel) -> tuple[object, ...]:
    """What tells apart kernels that sum up otherwise: mostly what weights are packed for.

    Those that have no variants keep sums of parts in scratch memory, if there are several.
    """
    parts = () if has_variants(call) else (kernel.scratch,)
    return kernel.family, *kernel.weights.items(), *parts


def _kernels(call: Call[Any]) -> Iterator[tuple[Call[Any], Kernel]]:
    """The kernels for a call, and the call that names them, the best first."""
    named = list(candidates(call))
    for candidate in named:
        yield replace(call, variant=candidate.name), candidate.make()
    if not named:
        yield call, choose(call)
