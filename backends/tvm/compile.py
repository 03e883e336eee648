"""Compiling a graph: lower it, build every different kernel once, link, pack the weights."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.packing import Packing, pack
from cnndsl.backends.tvm.build import link
from cnndsl.backends.tvm.driver import Driver
from cnndsl.backends.tvm.kernel import Body
from cnndsl.backends.tvm.lower import Program, Step, lower
from cnndsl.backends.tvm.machine import Machine, find_machine
from cnndsl.backends.tvm.module import GRAPH, LIBRARY, CpuModule
from cnndsl.backends.tvm.objects import Unit, make_objects
from cnndsl.backends.tvm.runtime import ENTRY
from cnndsl.backends.tvm.tables import describe
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import to_json
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, Port


def symbol_of(step: Step) -> str:
    """The name of a step's kernel: equal for steps that the same code serves."""
    return f"kernel_{hashlib.sha256(_key(step).encode()).hexdigest()[:16]}"


def _key(step: Step) -> str:
    return f"{step.kernel.family}:{step.call.key()}"


def kernels(program: Program) -> list[Unit]:
    """All different kernels."""
    different = {symbol_of(step): step for step in program.steps}
    return [
        Unit(symbol, _key(step), partial(_function, step, symbol))
        for symbol, step in different.items()
    ]


def _function(step: Step, symbol: str) -> Any:
    body = Body(step.call, step.kernel)
    step.kernel.write(body)
    return body.function(symbol)


def build_library(program: Program, packing: Packing, machine: Machine) -> tuple[bytes, Build]:
    """The shared library of a program, and how it was made."""
    units = kernels(program)
    driver = Driver.of(program, [symbol_of(step) for step in program.steps], packing)
    units.append(Unit(ENTRY, repr(driver), driver.function))
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        objects, hits = make_objects(units, machine, Path(folder))
        library = Path(folder) / "library.so"
        link(objects, library)
        fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
        return library.read_bytes(), Build(len(units), hits, fallbacks)


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
    require_known_sizes(graph)
    machine = replace(machine or find_machine(options.mcpu), winograd=options.winograd)
    batch = options.batch or 1
    program = lower(graph, batch, machine)
    packing = pack((step.node, step.kernel.weights) for step in program.steps)
    library, build = build_library(program, packing, machine)

    def port(name: str, node: str) -> Port:
        return Port(name, graph[node].type, options.batch)

    artefact = Artefact(
        target="cpu",
        inputs=tuple(port(name, name) for name in graph.inputs),
        outputs=tuple(port(name, node) for name, node in graph.outputs.items()),
        metadata=options.metadata,
        program={
            "features": machine.features,
            "batch": batch,
            "arena": program.arena,
            **describe(program),
        },
        code={LIBRARY: library, GRAPH: _graph_text(options.source or graph)},
        packing=packing,
        weights=packing.evaluate(values),
    )
    module = CpuModule(artefact, options.threads)
    module.build = build
    return module


def _graph_text(graph: Graph) -> bytes:
    return json.dumps(to_json(graph), separators=(",", ":"), allow_nan=False).encode()
