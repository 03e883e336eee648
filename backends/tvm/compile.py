"""Compiling a graph: lower it, build every different kernel once, link, pack the weights."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cnndsl.backends.tvm.build import link, object_code
from cnndsl.backends.tvm.driver import driver
from cnndsl.backends.tvm.kernel import Body
from cnndsl.backends.tvm.lower import Program, Step, lower
from cnndsl.backends.tvm.machine import Machine, find_machine
from cnndsl.backends.tvm.weights import Packing, pack
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions


def symbol_of(step: Step) -> str:
    """The name of a step's kernel: equal for steps that the same code serves."""
    digest = hashlib.sha256(f"{step.kernel.family}:{step.call.key()}".encode()).hexdigest()
    return f"kernel_{digest[:16]}"


def kernels(program: Program) -> dict[str, Any]:
    """The functions of all different kernels by symbol."""
    found: dict[str, Any] = {}
    for step in program.steps:
        symbol = symbol_of(step)
        if symbol not in found:
            body = Body(step.call, step.kernel)
            step.kernel.write(body)
            found[symbol] = body.function(symbol)
    return found


def build_library(program: Program, packing: Packing, machine: Machine) -> bytes:
    """The shared library of a program."""
    symbols = [symbol_of(step) for step in program.steps]
    functions = kernels(program)
    functions["run"] = driver(program, symbols, packing.offsets, packing.size)
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        objects = [Path(folder) / f"{symbol}.o" for symbol in functions]
        with ThreadPoolExecutor(machine.cores) as pool:
            jobs = [
                pool.submit(object_code, [function], machine, path)
                for function, path in zip(functions.values(), objects, strict=True)
            ]
            for job in jobs:
                job.result()
        library = Path(folder) / "library.so"
        link(objects, library)
        return library.read_bytes()


def compile_module(graph: Graph, values: Mapping[str, Any], options: CompileOptions) -> Any:
    """A module that runs a graph on this machine's CPU."""
    from cnndsl.backends.tvm.module import CpuModule

    machine = find_machine()
    program = lower(graph, options.batch or 1, machine)
    packing = pack(program)
    library = build_library(program, packing, machine)
    return CpuModule.of(graph, program, packing, library, values, options)
