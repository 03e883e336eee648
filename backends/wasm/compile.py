"""Compiling a graph to WebAssembly: the kernels of CPUs, linked with a runtime of one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cnndsl.backends.cpu.codegen.compilers import compiler_for
from cnndsl.backends.cpu.codegen.objects import make_objects
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME
from cnndsl.backends.cpu.emit.library import symbol_name
from cnndsl.backends.cpu.machine import Machine, machine_for
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import kernels, symbol_of
from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.backends.cpu.program.tables import describe
from cnndsl.backends.native.module import make_artefact
from cnndsl.backends.native.packing import pack
from cnndsl.backends.wasm.module import CODE, WasmModule
from cnndsl.backends.wasm.options import WasmOptions
from cnndsl.ir.graph import Graph
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, require_float32
from cnndsl.runtime.options import CompileOptions, Progress

TRIPLE = "wasm32"
EXPORTS = ("region", "bytes", "is_whole", "run")
C_FLAGS = ("-std=c11", "-O2", "-ffreestanding", "-fvisibility=hidden", "-msimd128")
LINK_FLAGS = ("-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=262144")


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> WasmModule:
    """A module whose `save` writes the folder; see `cnndsl.runtime.backend.Backend.compile`.

    Raises CnnError: E0602 without room for temporary files, E0611 if a size is open, E0721 without
    TVM or a compiler that makes WebAssembly, which `cnndsl[cross]` brings.
    """
    options = WasmOptions.of(options)
    require_float32(graph)
    net = symbol_name(graph.name)
    asked = CpuOptions(batch=options.batch, threads=1, winograd=options.winograd, triple=TRIPLE)
    machine = replace(machine_for(graph, asked), cores=1)
    program = lower(graph, options.batch or 1, machine)
    packing = pack((step.node, step.kernel.weights) for step in program.steps)
    symbols = [symbol_of(step) for step in program.steps]
    table = CallTable.of(program, symbols, packing, ())
    code, hits = _linked(program, table, machine, options.progress)
    described = {"features": (), **describe(program, symbols)}
    artefact = make_artefact("wasm", graph, values, options, packing, described, {CODE: code})
    module = WasmModule(artefact, net)
    fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
    module.build = Build(len(set(symbols)), hits, fallbacks)
    return module


def _linked(
    program: Program, table: CallTable, machine: Machine, progress: Progress
) -> tuple[bytes, int]:
    """The module in WebAssembly, and how many functions came from the cache."""
    compiler = compiler_for(TRIPLE)
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as name:
        folder = Path(name)
        objects, hits = make_objects(kernels(program.steps), machine, folder, progress)
        runtime = Path(__file__).with_name("runtime.c").read_text()
        for part, text in (("program", table.source()), ("runtime", runtime)):
            objects.append(folder / f"{part}.o")
            flags = [*C_FLAGS, f"-I{RUNTIME.parent}", "-c", "-x", "c", "-o", str(objects[-1]), "-"]
            compiler(flags, text)
        exports = [f"-Wl,--export={name}" for name in EXPORTS]
        file = folder / "module.wasm"
        compiler([*LINK_FLAGS, *exports, "-o", str(file), *map(str, objects)])
        return file.read_bytes(), hits
