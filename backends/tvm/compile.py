"""Compiling a graph: lower it, build every different kernel once, link, pack the weights."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.packing import Packing, pack
from cnndsl.backends.tvm.build import link, object_code
from cnndsl.backends.tvm.driver import driver
from cnndsl.backends.tvm.kernel import Body
from cnndsl.backends.tvm.lower import Program, Step, lower
from cnndsl.backends.tvm.machine import Machine, find_machine
from cnndsl.backends.tvm.module import LIBRARY, CpuModule
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array, Port


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


def compile_module(
    graph: Graph,
    values: Mapping[str, Array],
    options: CompileOptions,
    machine: Machine | None = None,
) -> CpuModule:
    """A module that runs a graph on a CPU; see `cnndsl.runtime.backend.Backend.compile`.

    Without a machine it is that of the options.
    """
    if options.dtype != "float32":
        raise CnnError.of("E0722", f"the cpu backend computes in float32, not {options.dtype}")
    machine = replace(machine or find_machine(options.mcpu), winograd=options.winograd)
    batch = options.batch or 1
    program = lower(graph, batch, machine)
    packing = pack((step.node, step.kernel.weights) for step in program.steps)
    library = build_library(program, packing, machine)

    def port(name: str, node: str) -> Port:
        return Port(name, graph[node].type, options.batch)

    artefact = Artefact(
        target="cpu",
        inputs=tuple(port(name, name) for name in graph.inputs),
        outputs=tuple(port(name, node) for name, node in graph.outputs.items()),
        metadata=options.metadata,
        program={"features": machine.features, "batch": batch, "arena": program.arena},
        code={LIBRARY: library},
        packing=packing,
        weights=packing.evaluate(values),
    )
    return CpuModule(artefact, options.threads)
