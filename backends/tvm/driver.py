"""The function that runs a program: it calls every kernel, in order, without any allocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.native.packing import Packing
from cnndsl.backends.tvm.expressions import address, all_of, floats, whole_number
from cnndsl.backends.tvm.lower import Program, Slot
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.runtime import ENTRY
from cnndsl.backends.tvm.team import clear_flags, meeting
from cnndsl.backends.tvm.tir import Code, Team


@dataclass(frozen=True)
class Driver:
    """The calls of a program: of each the kernel's symbol and the memory that it is given.

    `regions` are the names of the blocks of memory, and their floats, in the order of the entry
    point's parameters.
    """

    regions: tuple[tuple[str, int], ...]
    calls: tuple[tuple[str, tuple[Slot, ...]], ...]

    @classmethod
    def of(cls, program: Program, symbols: Sequence[str], packing: Packing) -> Driver:
        """The driver of a program; `symbols` names the kernel of each step."""
        ports = [*program.graph.inputs, *program.graph.outputs.values()]
        calls = []
        for step, symbol, offsets in zip(program.steps, symbols, packing.offsets, strict=True):
            slots = [step.output, *step.inputs, *(Slot("weights", offset) for offset in offsets)]
            if step.kernel.scratch:
                slots.append(Slot("arena", program.scratch))
            calls.append((symbol, tuple(slots)))
        regions = [
            ("arena", max(program.arena, 1)),
            ("weights", max(packing.size, 1)),
            *((name, program.layouts[name].size) for name in ports),
        ]
        return cls(tuple(regions), tuple(calls))

    def functions(self, machine: Machine) -> list[Any]:
        """The entry point, and what the kernels call.

        The entry point takes pointers to arena, weights, inputs, outputs and the flags of a team,
        the number of its cores, and two more numbers. The team runs the steps from the first number
        up to, not including, the second, so that single layers can be timed and looked at.
        """
        buffers = {
            name: floats(f"region{index}", size) for index, (name, size) in enumerate(self.regions)
        }
        team = Team.of_parameters()
        code = Code(team)
        clear_flags(code, team)
        start, stop = whole_number("start"), whole_number("stop")
        with code.on_all_cores():
            for index, (symbol, slots) in enumerate(self.calls):
                with code.when(all_of([start <= index, stop > index])):
                    code.call(
                        symbol, [address(buffers[slot.region], slot.offset) for slot in slots]
                    )
                    code.meet()
        numbers = [team.cores, start, stop]
        return [code.entry(ENTRY, [*buffers.values(), team.flags], numbers), meeting(machine)]
