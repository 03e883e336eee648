"""The time of single kernels on this machine, each called as it would be in a network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from cnndsl.backends.cpu.codegen.layout import Layout
from cnndsl.backends.cpu.codegen.objects import make_library
from cnndsl.backends.cpu.kernels import choose
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import glue, kernels, symbol_of
from cnndsl.backends.cpu.program.lower import Slot, Step
from cnndsl.backends.cpu.runtime.library import Library
from cnndsl.backends.native.packing import FLOAT, aligned, packed_size
from cnndsl.ir.operators import Identity
from cnndsl.ir.part import Part
from cnndsl.ir.types import DTYPES, TensorType

COLD = 64 << 20
"""Bytes of weights at most that are read until the same ones are read again."""
ROUNDS = 41
"""Calls of the reader."""
SETTLING = 0.1
"""Seconds of calls before the first that counts.

Behind a compilation, threads may share one core for some 50 ms, which doubles or triples all times.
"""
NUMBER = 1 / 64
"""What all tensors and weights are filled with."""


class Timer:
    """Times kernels for the same call, on so many threads.

    Before a kernel is called, its operands are written anew, and afterwards its result is read, by
    the cores that do so in a network. What a core loses by reading what another one has written
    thus counts, and nothing else of the reader's time. Each call reads another copy of the weights;
    the copies have about `weights` floats, those of the whole network.

    `reader` is the time, in seconds, to call the reader of a result that lies in its own cache.
    """

    def __init__(self, steps: Sequence[Step], threads: int, weights: int):
        call = steps[0].call
        copies = [_copy(layout, call.machine) for layout in (*call.inputs, call.output)]
        table = _table(copies, steps)
        self._operands = len(call.inputs)
        self._library = _library([*copies, *steps], table, call.machine, threads)
        sizes = dict(table.regions)
        size = sizes.pop("weights")
        regions = {name: _filled(floats) for name, floats in sizes.items()}
        self._arguments = cycle(
            [regions["arena"], _filled(size), *list(regions.values())[1:]]
            for _ in range(max(1, min(weights, COLD // 4) // size))
        )
        end = time.perf_counter() + SETTLING
        while time.perf_counter() < end:
            self._time_reader()
        self.reader = quartile([self._time_reader() for _ in range(ROUNDS)])

    def seconds(self, indices: Sequence[int], rounds: int) -> list[float]:
        """Seconds of some of the kernels: the lower quartile of so many calls of each, in turns.

        At least a hundredth of what was measured with the reader, whose time varies as well.
        """
        times: dict[int, list[float]] = {index: [] for index in indices}
        for number in range(rounds):
            for index in indices if number % 2 else reversed(indices):
                self._run(0, self._operands)
                first = self._operands + 2 + 2 * index
                times[index].append(self._run(first, first + 2))
        found = [quartile(times[index]) for index in indices]
        return [max(seconds - self.reader, seconds / 100) for seconds in found]

    def _time_reader(self) -> float:
        self._run(self._operands, self._operands + 1)
        return self._run(self._operands + 1, self._operands + 2)

    def _run(self, first: int, last: int) -> float:
        """Seconds of some calls of the table."""
        arrays = next(self._arguments)
        begin = time.perf_counter()
        self._library.run(arrays, first, last)
        return time.perf_counter() - begin


def quartile(times: Sequence[float]) -> float:
    """The time that a quarter of some does not exceed: hardly changed by what disturbs a few."""
    return sorted(times)[len(times) // 4]


def _copy(layout: Layout, machine: Machine) -> Step:
    """A step that writes a tensor, from another one of the same layout."""
    kind = TensorType((layout.channels, *layout.spatial), DTYPES[layout.dtype])
    core = Part.of(Identity(), [kind])
    call = Call(core, (), (), (layout,), layout, machine)
    return Step("", call, choose(call), Slot("", 0), ())


def _table(copies: Sequence[Step], steps: Sequence[Step]) -> CallTable:
    """Calls copies, which write the operands and the result, the reader, then all kernels.

    Each kernel is followed by the reader.
    """
    tensors = {
        **{f"x{index}": _words(layout) for index, layout in enumerate(steps[0].call.inputs)},
        "y": _words(steps[0].call.output),
    }
    others = {f"{name}_copy": size for name, size in tensors.items()}
    calls: list[tuple[str, tuple[Slot, ...]]] = [
        (symbol_of(copy), (Slot(name, 0), Slot(f"{name}_copy", 0)))
        for name, copy in zip(tensors, copies, strict=True)
    ]
    reader = (symbol_of(copies[-1]), (Slot("y_copy", 0), Slot("y", 0)))
    calls.append(reader)
    operands = [Slot(name, 0) for name in tensors if name != "y"]
    largest = 1
    for step in steps:
        slots = [Slot("y", 0), *operands]
        used = 0
        for weight in step.kernel.weights.values():
            slots.append(Slot("weights", used * FLOAT))
            used += packed_size(weight)
        largest = max(largest, used)
        if step.kernel.scratch:
            slots.append(Slot("arena", 0))
        calls += [(symbol_of(step), tuple(slots)), reader]
    scratch = max(1, *(step.kernel.scratch for step in steps))
    regions = {"arena": scratch, "weights": largest, **tensors, **others}
    return CallTable(tuple(regions.items()), tuple(calls))


def _words(layout: Layout) -> int:
    return int(layout.size * layout.bytes // FLOAT)


def _library(steps: Sequence[Step], table: CallTable, machine: Machine, threads: int) -> Library:
    content, *_ = make_library([*kernels(steps), *glue(table)], machine)
    return Library(content, threads)


def _filled(floats: int) -> np.ndarray:
    array = aligned(floats)
    array[:] = NUMBER
    return array
