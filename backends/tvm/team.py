"""Where the cores that run a program together wait for one another.

A call of a program hands one task to each core, which goes through all kernels: it computes its
part of each phase, and goes on when all cores have done theirs. Each core has a flag, which counts
the phases that it has done, on a cache line of its own. To wait takes a tenth of the time that
handing out tasks for each phase would.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.expressions import all_of, load
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.runtime import FLAG_DISTANCE
from cnndsl.backends.tvm.tir import MEET, Code, Team

SPINS = 2000
"""How often a core looks before it lets others of the operating system's threads run."""


def clear_flags(code: Code, team: Team) -> None:
    """No phase is done yet."""
    with code.loop(team.cores) as core:
        code.store(team.flags, core * FLAG_DISTANCE, 0)


def meeting(machine: Machine) -> Any:
    """The function by which a core says that it has done a phase, and waits for the others.

    x86 keeps the order of stores and that of loads; other CPUs need a barrier on both sides.
    """
    team = Team.of_parameters()
    code, flags = Code(team), team.flags
    _order(code, machine)
    phase = code.name(load(flags, team.core * FLAG_DISTANCE) + 1)
    code.store(flags, team.core * FLAG_DISTANCE, phase)
    with code.loop(team.cores) as other:
        late = load(flags, other * FLAG_DISTANCE) < phase
        if machine.is_x86:
            spins = code.counter()
            with code.repeat_while(all_of([late, load(spins, 0) < SPINS])):
                code.run(tirx.call_llvm_intrin("void", "llvm.x86.sse2.pause"))
                code.store(spins, 0, load(spins, 0) + 1)
        with code.repeat_while(late):
            code.run(tirx.call_extern("int32", "sched_yield"))
    _order(code, machine)
    return code.function(MEET, [], noalias=False)


def _order(code: Code, machine: Machine) -> None:
    if not machine.is_x86:
        inner_shareable = tirx.const(11, "int32")
        code.run(tirx.call_llvm_intrin("void", "llvm.aarch64.dmb", inner_shareable))
