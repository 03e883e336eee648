"""Compiling a graph to WebAssembly: the kernels of CPUs, linked with a runtime of their own.

Once for one thread, and once for several that share their memory, which pages have to be allowed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cnndsl.backends.cpu.codegen.compilers import compiler_for
from cnndsl.backends.cpu.codegen.objects import make_objects
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME
from cnndsl.backends.cpu.emit.library import symbol_name
from cnndsl.backends.cpu.machine import OTHER_CORES, machine_for
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import kernels, symbol_of
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.backends.cpu.program.tables import describe
from cnndsl.backends.native.module import make_artefact
from cnndsl.backends.native.packing import ALIGNMENT, FLOAT, pack
from cnndsl.backends.wasm.module import CODE, MOST_THREADS, STACK, TEAM_CODE, WasmModule
from cnndsl.backends.wasm.options import WasmOptions
from cnndsl.backends.wasm.team import for_team
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, require_float32
from cnndsl.runtime.options import CompileOptions

TRIPLE = "wasm32"
MOST_MEMORY = 2**32 - 2**16
"""Bytes with addresses of 32 bits, in whole pages."""
EXPORTS = ("region", "bytes", "is_whole", "run")
C_FLAGS = (
    *("-std=c11", "-O2", "-ffreestanding", "-fvisibility=hidden", "-msimd128"),
    f"-DMOST_CORES={MOST_THREADS}",
)
LINK_FLAGS = ("-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", f"-Wl,-z,stack-size={STACK}")
ATOMICS = ("-matomics", "-mbulk-memory")
SHARED_FLAGS = (
    *("-Wl,--shared-memory", "-Wl,--import-memory", f"-Wl,--max-memory={MOST_MEMORY}"),
    "-Wl,--export=__stack_pointer",
)
STATIC = 1 << 16
"""Bytes of variables that object files only name, at most."""


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> WasmModule:
    """A module whose `save` writes the folder; see `cnndsl.runtime.backend.Backend.compile`.

    Raises CnnError: E0602 without room for temporary files, E0611 if a size is open, E0721 without
    TVM or a compiler that makes WebAssembly, which `cnndsl[cross]` brings, E0711 for a network
    that needs more memory than there are addresses.
    """
    options = WasmOptions.of(options)
    require_float32(graph)
    net = symbol_name(graph.name)
    asked = CpuOptions(batch=options.batch, threads=1, winograd=options.winograd, triple=TRIPLE)
    machine = replace(machine_for(graph, asked), cores=1)
    single = lower(graph, options.batch or 1, machine)
    packing = pack((step.node, step.kernel.weights) for step in single.steps)
    cores = min(options.threads or OTHER_CORES, MOST_THREADS)
    programs = {CODE: single, **({TEAM_CODE: for_team(single, cores)} if cores > 1 else {})}
    units = kernels(step for program in programs.values() for step in program.steps)
    code, memory = {}, 0
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as name:
        objects, hits = make_objects(units, machine, Path(name), options.progress)
        for file, program in programs.items():
            symbols = [symbol_of(step) for step in program.steps]
            table = CallTable.of(program, symbols, packing, ())
            used = [path for path in objects if path.stem in set(symbols)]
            code[file] = _linked(used, table, Path(name), is_shared=file == TEAM_CODE)
            memory = STACK + STATIC + sum(path.stat().st_size for path in used)
            memory += sum(FLOAT * size + ALIGNMENT for _, size in table.regions)
            if memory > MOST_MEMORY:
                raise CnnError.of(
                    "E0711",
                    f"the network needs {memory:,} bytes, WebAssembly addresses {MOST_MEMORY:,}",
                    hint="use a smaller batch or input",
                )
    described = describe(single, [symbol_of(step) for step in single.steps])
    described |= {"features": (), "threads": cores, "memory": memory}
    artefact = make_artefact("wasm", graph, values, options, packing, described, code)
    module = WasmModule(artefact, net)
    fallbacks = sum(step.kernel.family == "plain" for step in single.steps)
    module.build = Build(len(units), hits, fallbacks)
    return module


def _linked(
    kernel_objects: Sequence[Path], table: CallTable, folder: Path, *, is_shared: bool
) -> bytes:
    """The module in WebAssembly of a program."""
    compiler, objects = compiler_for(TRIPLE), [*kernel_objects]
    atomics = ATOMICS if is_shared else ()
    runtime = Path(__file__).with_name("runtime.c").read_text()
    for part, text in (("program", table.source()), ("runtime", runtime)):
        objects.append(folder / f"{part}.o")
        flags = [*C_FLAGS, *atomics, f"-I{RUNTIME.parent}", f"-DREGIONS={len(table.regions)}"]
        compiler([*flags, "-c", "-x", "c", "-o", str(objects[-1]), "-"], text)
    exports = [f"-Wl,--export={name}" for name in EXPORTS]
    flags = [*LINK_FLAGS, *exports, *atomics, *(SHARED_FLAGS if is_shared else ())]
    file = folder / "module.wasm"
    compiler([*flags, "-o", str(file), *map(str, objects)])
    return file.read_bytes()
