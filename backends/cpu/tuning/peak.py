"""What this machine reaches at best, measured: multiply-adds in registers, and reading memory."""

from __future__ import annotations

import math
import time
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import floats, load, vector
from cnndsl.backends.cpu.codegen.objects import Unit, make_library
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.machine import Machine, find_machine
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import glue
from cnndsl.backends.cpu.program.lower import Slot
from cnndsl.backends.cpu.runtime.library import Library
from cnndsl.backends.native.packing import aligned
from cnndsl.runtime.layers import Peak
from cnndsl.runtime.module import Array

KERNEL = "kernel"
"""The name of the function that is measured."""
CHAINS = 12
"""Independent sums in registers: more than the 8 to 10 multiply-adds that a core has under way."""
ROUNDS = 1 << 20
READ_FLOATS = 1 << 26
"""256 MiB, more than caches hold."""
SECONDS = 0.5
"""For each of the two measurements."""


def measure_peak(threads: int) -> Peak:
    """The best of several runs on that many threads, in float32."""
    machine = find_machine()
    return Peak(_flops(machine, threads), _bandwidth(machine, threads))


def _flops(machine: Machine, threads: int) -> float:
    """Floating point operations in a second, a multiply-add counted as two."""
    sums = aligned(threads * CHAINS * machine.lanes)
    factors = aligned(2 * machine.lanes)
    sums[:] = range(len(sums))
    factors[: machine.lanes], factors[machine.lanes :] = 0.5, 1.0
    function = multiply_adds(machine.lanes, threads)
    return 2 * ROUNDS * len(sums) / _shortest(function, machine, threads, [sums, factors])


def _bandwidth(machine: Machine, threads: int) -> float:
    """Bytes read from memory in a second."""
    unit = threads * CHAINS * machine.lanes
    numbers = aligned(READ_FLOATS // unit * unit)
    numbers[:] = 1
    sums = aligned(unit)
    function = sums_of(len(numbers), machine.lanes, threads)
    return numbers.nbytes / _shortest(function, machine, threads, [sums, numbers])


def multiply_adds(lanes: int, tasks: int) -> Any:
    """sums[task][chain] = sums * factors[0] + factors[1], ROUNDS times; the result is 2 or near."""
    sums, factors = floats("sums", tasks * CHAINS * lanes), floats("factors", 2 * lanes)
    code = Code()
    with code.parallel(tasks) as (task,):
        first = task * (CHAINS * lanes)
        chains = [
            code.register(load(sums, first + index * lanes, lanes), lanes)
            for index in range(CHAINS)
        ]
        with code.loop(ROUNDS):
            for chain in chains:
                code.set(chain, chain.value * load(factors, 0, lanes) + load(factors, lanes, lanes))
        for index, chain in enumerate(chains):
            code.store(sums, first + index * lanes, chain.value, lanes)
    return code.function(KERNEL, [sums, factors])


def sums_of(size: int, lanes: int, tasks: int) -> Any:
    """sums[task][chain]: every number is read and added up once."""
    sums, numbers = floats("sums", tasks * CHAINS * lanes), floats("numbers", size)
    row = CHAINS * lanes
    code = Code()
    with code.parallel(tasks) as (task,):
        chains = [code.register(vector(0.0, lanes), lanes) for _ in range(CHAINS)]
        with code.loop(size // (tasks * row)) as index:
            start = (task * (size // (tasks * row)) + index) * row
            for offset, chain in enumerate(chains):
                code.set(chain, chain.value + load(numbers, start + offset * lanes, lanes))
        for offset, chain in enumerate(chains):
            code.store(sums, task * row + offset * lanes, chain.value, lanes)
    return code.function(KERNEL, [sums, numbers])


def library_of(function: Any, machine: Machine, threads: int, arrays: list[Array]) -> Library:
    """A library that calls a kernel on such arrays."""
    regions = tuple((f"array{index}", len(array)) for index, array in enumerate(arrays))
    table = CallTable(regions, ((KERNEL, tuple(Slot(name, 0) for name, _ in regions)),))
    key = repr((str(function), regions))
    content, *_ = make_library([Unit(KERNEL, key, lambda: [function]), *glue(table)], machine)
    return Library(content, threads)


def _shortest(function: Any, machine: Machine, threads: int, arrays: list[Array]) -> float:
    """Seconds of the fastest call."""
    library = library_of(function, machine, threads, arrays)
    shortest, end = math.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        library.run(arrays)
        shortest = min(shortest, time.perf_counter() - start)
    return shortest
