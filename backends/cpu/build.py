"""Compiling a graph: lower it, build every different kernel once, link, pack the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnndsl.backends.cpu.codegen.objects import make_library
from cnndsl.backends.cpu.cpus import Triple
from cnndsl.backends.cpu.emit.library import Emitted, library_name
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.machine import AMX, Machine, machine_for
from cnndsl.backends.cpu.module import LIBRARY, CpuModule
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.functions import glue, kernels, symbol_of
from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.backends.cpu.program.sized import PREPARED, SHARED, open_to_json
from cnndsl.backends.cpu.program.tables import describe
from cnndsl.backends.cpu.tuning.tune import choices_for, tune_program
from cnndsl.backends.native.module import make_artefact
from cnndsl.backends.native.packing import Packing, pack
from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import to_json
from cnndsl.ir.sizes import at_sizes
from cnndsl.runtime.archive import json_bytes
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array
from cnndsl.runtime.options import CompileOptions, Progress, silent


@dataclass(frozen=True)
class Kernels:
    """What an artefact has of kernels that serve all sizes, and how they were made."""

    described: Mapping[str, Any]
    files: Mapping[str, bytes]
    packing: Packing
    build: Build


def build_library(
    program: Program,
    packing: Packing,
    machine: Machine,
    progress: Progress = silent,
    emitted: str = "",
) -> tuple[bytes, Build, Emitted | None]:
    """The shared library of a program, and how it was made.

    With a name for a library in C, what that is made of as well; its functions serve both.
    """
    prefix = f"{emitted}_" if emitted else ""
    symbols = [symbol_of(step, prefix) for step in program.steps]
    make = CallTable.of_open if program.dims else CallTable.of
    machine = needed(program, machine)
    table = make(program, symbols, packing, machine.features)
    own = kernels(program.steps, prefix)
    units = [*own, *glue(table, prefix)]
    library, objects, hits = make_library(units, machine, progress)
    parts = None
    if emitted:
        code = {unit.symbol: objects[unit.symbol] for unit in own}
        parts = Emitted(emitted, machine, code, table.source())
    fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
    measured = len({symbol_of(step) for step in program.steps if step.call.variant})
    return library, Build(len(units), hits, fallbacks, measured), parts


def needed(program: Program, machine: Machine) -> Machine:
    """A machine with the features that the code of a program needs: AMX only where it is used."""
    used = {name for step in program.steps for name in step.kernel.needs}
    features = [name for name in machine.features if name not in AMX or name in used]
    return replace(machine, features=tuple(features))


def plain(graph: Graph) -> list[tuple[str, Mapping[str, Expression]]]:
    """The parameters of a graph as weights that are read as they are."""
    return [(name, {"": parameter}) for name, parameter in graph.parameters().items()]


def compile_shared(
    graph: Graph,
    options: CpuOptions,
    sizes: Mapping[str, int],
    machine: Machine | None = None,
) -> Kernels:
    """Kernels that serve all sizes of a graph, chosen for nominal ones.

    Their weights are packed beside the parameters as they are.

    Raises CnnError as `compile_known` does, SizeNeededError if there are no such kernels.
    """
    machine = machine_for(at_sizes(graph, sizes), options, machine)
    choices = choices_for(options)
    if options.tune:
        tune_program(lower(at_sizes(graph, sizes), 1, machine), options, choices)

    def variant_of(call: Call[Any]) -> str:
        return choices.variant_of(call.nominal)

    program = lower(graph, 1, machine, variant_of, sizes)
    steps = [(step.node, step.kernel.weights) for step in program.steps]
    packing = pack([*plain(graph), *steps])
    own = replace(packing, offsets=packing.offsets[-len(steps) :])
    library, build, _ = build_library(program, own, machine, options.progress)
    features = {"features": needed(program, machine).features, "triple": machine.triple}
    described = {**features, **open_to_json(program, machine.lanes)}
    files = {
        PREPARED: json_bytes(to_json(program.graph)),
        SHARED: library,
    }
    return Kernels(described, files, packing, build)


def compile_known(
    graph: Graph,
    values: Mapping[str, Array],
    options: CompileOptions,
    machine: Machine | None = None,
) -> CpuModule:
    """A module of a graph whose sizes are known.

    Without a machine it is that of the options. Raises CnnError: E0602 without room for temporary
    files, E0611 if a size is open, E0721 without TVM or a C compiler, E0724 if variants are to be
    timed that this CPU cannot run, E0726 for a triple that no code is made for.
    """
    options = CpuOptions.of(options)
    if options.triple and Triple.of(options.triple).is_wasm:
        message = "WebAssembly is a target of its own"
        raise CnnError.of("E0726", message, hint="--target wasm, without --triple")
    machine = machine_for(graph, options, machine)
    batch = options.batch or 1
    choices = choices_for(options)
    if options.tune:
        tune_program(lower(graph, batch, machine), options, choices)
    program = lower(graph, batch, machine, choices.variant_of)
    packing = pack((step.node, step.kernel.weights) for step in program.steps)
    name = library_name(graph.name) if options.emit == "library" else ""
    library, build, emitted = build_library(program, packing, machine, options.progress, name)
    symbols = [symbol_of(step, f"{name}_" if name else "") for step in program.steps]
    made_for = {"features": needed(program, machine).features, "triple": machine.triple}
    described = {**made_for, **describe(program, symbols)}
    code = {LIBRARY: library}
    artefact = make_artefact("cpu", graph, values, options, packing, described, code)
    module = CpuModule(artefact, options.threads)
    module.build = build
    module.emitted = emitted and replace(emitted, embeds=options.embed_weights)
    return module
