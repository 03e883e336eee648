"""What this machine reaches at best, measured: multiply-adds in registers, and reading memory."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from typing import Any

import numpy as np

from cnndsl.backends.cpu.codegen import amx
from cnndsl.backends.cpu.codegen.expressions import floats, load, vector
from cnndsl.backends.cpu.codegen.objects import Unit, make_library
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.machine import AMX_TILE, Machine, find_machine
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import glue
from cnndsl.backends.cpu.program.lower import Slot
from cnndsl.backends.cpu.runtime.library import Library
from cnndsl.backends.cpu.tuning.products import (
    FEATURES,
    tile_products,
    whole_tiles,
    word_products,
    words_of,
)
from cnndsl.backends.native.packing import FLOAT, aligned
from cnndsl.ir.types import DTYPES
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
"""For each of the measurements."""


def measure_peak(threads: int, formats: Collection[str] = ()) -> Peak:
    """The best of several runs on that many threads, in float32 and other formats of products."""
    machine = find_machine()
    flops = _flops(machine, threads)
    others = {name: _products(machine, threads, name, flops) for name in formats}
    return Peak(flops, _bandwidth(machine, threads), others)


def _flops(machine: Machine, threads: int) -> float:
    """Floating point operations in a second, a multiply-add counted as two."""
    sums = aligned(threads * CHAINS * machine.lanes)
    factors = aligned(2 * machine.lanes)
    sums[:] = range(len(sums))
    factors[: machine.lanes], factors[machine.lanes :] = 0.5, 1.0
    function = multiply_adds(machine.lanes, threads)
    return 2 * ROUNDS * len(sums) / _shortest(function, machine, threads, [sums, factors])


def _products(machine: Machine, threads: int, name: str, flops: float) -> float:
    """Operations in a second by the instructions for a format, or those of float32."""
    if machine.multiplies_tiles(FEATURES[name]):
        settings = aligned(amx.CONFIGURATION // FLOAT)
        settings.view(np.uint8)[:] = whole_tiles()
        function = tile_products(name, KERNEL, ROUNDS // 16, threads)
        needs = AMX_TILE, FEATURES[name]
        seconds = _shortest(function, machine, threads, [settings], needs)
        each = 4 * amx.ROWS * amx.WORDS * (amx.WORDS * FLOAT // DTYPES[name].bytes)
        return 2 * threads * (ROUNDS // 16) * each / seconds
    words = words_of(machine, name)
    if words is None:
        return flops
    sums, factors = aligned(threads * CHAINS * words.lanes), aligned(words.lanes)
    factors.view(np.uint8)[:] = 1
    function = word_products(words, KERNEL, CHAINS, ROUNDS, threads)
    seconds = _shortest(function, machine, threads, [sums, factors])
    return 2 * ROUNDS * len(sums) * words.width / seconds


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


def library_of(
    function: Any,
    machine: Machine,
    threads: int,
    arrays: list[Array],
    needs: tuple[str, ...] = (),
) -> Library:
    """A library that calls a kernel on such arrays, which `needs` features of the CPU."""
    regions = tuple((f"array{index}", len(array)) for index, array in enumerate(arrays))
    calls = ((KERNEL, tuple(Slot(name, 0) for name, _ in regions)),)
    table = CallTable(regions, calls, features=needs)
    key = repr((str(function), regions))
    content, *_ = make_library([Unit(KERNEL, key, lambda: [function]), *glue(table)], machine)
    return Library(content, threads)


def _shortest(
    function: Any,
    machine: Machine,
    threads: int,
    arrays: list[Array],
    needs: tuple[str, ...] = (),
) -> float:
    """Seconds of the fastest call."""
    library = library_of(function, machine, threads, arrays, needs)
    shortest, end = math.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        library.run(arrays)
        shortest = min(shortest, time.perf_counter() - start)
    return shortest
