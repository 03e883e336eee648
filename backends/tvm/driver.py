"""The function that runs a program: it calls every kernel, in order, without any allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnndsl.backends.tvm.lower import Program, Slot
from cnndsl.backends.tvm.runtime import ENTRY
from cnndsl.backends.tvm.tir import Code, address, all_of, floats, whole_number


def driver(
    program: Program,
    symbols: Sequence[str],
    weights: Sequence[Sequence[int]],
    weight_floats: int,
) -> Any:
    """The entry point: pointers to the arena, the weights, the inputs, the outputs; two numbers.

    It runs the steps from the first number up to, not including, the second, so that single
    layers can be timed and looked at. `symbols` names the kernel of each step, `weights` gives
    the offsets of its weights.
    """
    graph = program.graph
    ports = [*graph.inputs, *graph.outputs.values()]
    regions = {"arena": floats("arena", max(program.arena, 1))}
    regions["weights"] = floats("weights", max(weight_floats, 1))
    for index, name in enumerate(ports):
        regions[name] = floats(f"port{index}", program.layouts[name].size)
    code = Code()
    start, stop = whole_number("start"), whole_number("stop")
    for index, (step, symbol, offsets) in enumerate(
        zip(program.steps, symbols, weights, strict=True)
    ):
        slots = [step.output, *step.inputs, *(Slot("weights", offset) for offset in offsets)]
        if step.kernel.scratch:
            slots.append(Slot("arena", program.scratch))
        with code.when(all_of([start <= index, stop > index])):
            code.call(symbol, [_pointer(regions, slot) for slot in slots])
    return code.function(ENTRY, list(regions.values()), numbers=[start, stop])


def _pointer(regions: Mapping[str, Any], slot: Slot) -> Any:
    return address(regions[slot.region], slot.offset)
