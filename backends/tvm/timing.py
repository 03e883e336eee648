"""The time of single kernels on this machine, each called as it would be in a network."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from cnndsl.backends.native.packing import aligned, packed_size
from cnndsl.backends.tvm.build import link
from cnndsl.backends.tvm.driver import Driver
from cnndsl.backends.tvm.functions import kernels, symbol_of
from cnndsl.backends.tvm.kernel import Call
from cnndsl.backends.tvm.kernels import choose
from cnndsl.backends.tvm.layout import Layout
from cnndsl.backends.tvm.lower import Slot, Step
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.objects import Unit, make_objects
from cnndsl.backends.tvm.runtime import ENTRY, Library
from cnndsl.ir.operators import Identity

COLD = 64 << 20
"""Bytes of weights at most that are read until the same ones are read again."""
NUMBER = 1 / 64
"""What all tensors and weights are filled with."""


class Timer:
    """Times kernels for the same call, on so many threads.

    Before a kernel is timed, its operands are written anew, by the cores that write them in a
    network. Each call reads another copy of the weights; the copies have about `weights` floats,
    those of the whole network. `empty` is the time of a call that does nothing, in seconds; it is
    taken off those of the kernels.
    """

    def __init__(self, steps: Sequence[Step], threads: int, weights: int):
        call = steps[0].call
        copies = [_copy(layout, call.machine) for layout in call.inputs]
        driver = _driver(copies, steps)
        self._first = len(copies)
        self._library = _library([*copies, *steps], driver, call.machine, threads)
        sizes = dict(driver.regions)
        size = sizes["weights"]
        total = min(weights, COLD // 4)
        regions = {name: _filled(floats) for name, floats in sizes.items() if name != "weights"}
        self._arguments = cycle(
            [regions["arena"], _filled(size), *list(regions.values())[1:]]
            for _ in range(max(1, total // size))
        )
        self.empty = statistics.median(self._call(0, 0) for _ in range(99))

    def medians(self, indices: Sequence[int], rounds: int) -> list[float]:
        """Seconds of some of the kernels: the medians of so many calls of each, in turns."""
        times: list[list[float]] = [[] for _ in indices]
        for _ in range(rounds):
            for index, found in zip(indices, times, strict=True):
                self._call(0, self._first)
                found.append(self._call(self._first + index, self._first + index + 1))
        return [max(statistics.median(found) - self.empty, 1e-9) for found in times]

    def _call(self, first: int, last: int) -> float:
        arrays = next(self._arguments)
        begin = time.perf_counter()
        self._library.run(arrays, first, last)
        return time.perf_counter() - begin


def _copy(layout: Layout, machine: Machine) -> Step:
    """A step that writes a tensor, from another one of the same layout."""
    call = Call(Identity(), (), (), (layout,), layout, {}, machine)
    return Step("", call, choose(call), Slot("", 0), ())


def _driver(copies: Sequence[Step], steps: Sequence[Step]) -> Driver:
    """Calls the copies, which write the operands from their sources, then the kernels."""
    call = steps[0].call
    operands = [(f"x{index}", layout.size) for index, layout in enumerate(call.inputs)]
    sources = [(f"source{index}", layout.size) for index, layout in enumerate(call.inputs)]
    calls: list[tuple[str, tuple[Slot, ...]]] = [
        (symbol_of(copy), (Slot(operand, 0), Slot(source, 0)))
        for copy, (operand, _), (source, _) in zip(copies, operands, sources, strict=True)
    ]
    largest = 1
    for step in steps:
        slots = [Slot("y", 0), *(Slot(operand, 0) for operand, _ in operands)]
        used = 0
        for expression in step.kernel.weights.values():
            slots.append(Slot("weights", used))
            used += packed_size(expression)
        largest = max(largest, used)
        if step.kernel.scratch:
            slots.append(Slot("arena", 0))
        calls.append((symbol_of(step), tuple(slots)))
    scratch = max(1, *(step.kernel.scratch for step in steps))
    regions = [("arena", scratch), ("weights", largest), ("y", call.output.size)]
    return Driver((*regions, *operands, *sources), tuple(calls))


def _library(steps: Sequence[Step], driver: Driver, machine: Machine, threads: int) -> Library:
    units = [*kernels(steps), Unit(ENTRY, repr(driver), driver.function)]
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        objects, _ = make_objects(units, machine, Path(folder))
        path = Path(folder) / "library.so"
        link(objects, path)
        return Library(path, threads)


def _filled(floats: int) -> np.ndarray:
    array = aligned(floats)
    array[:] = NUMBER
    return array
