"""Compiling a graph: lower it, build every different kernel once, link, pack the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec

from cnndsl.backends.cpu.codegen.objects import make_library
from cnndsl.backends.cpu.machine import Machine, find_machine
from cnndsl.backends.cpu.module import LIBRARY, CpuModule
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.driver import Driver
from cnndsl.backends.cpu.program.functions import glue, kernels, symbol_of
from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.backends.cpu.program.tables import describe
from cnndsl.backends.cpu.runtime.library import available_cores
from cnndsl.backends.cpu.tuning.choices import Choices
from cnndsl.backends.cpu.tuning.tune import tune_program
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import GRAPH, graph_text
from cnndsl.backends.native.packing import Packing, pack
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, graph_ports
from cnndsl.runtime.options import CompileOptions, Progress, silent
from cnndsl.runtime.tuning import Tuned


def build_library(
    program: Program, packing: Packing, machine: Machine, progress: Progress = silent
) -> tuple[bytes, Build]:
    """The shared library of a program, and how it was made."""
    symbols = [symbol_of(step) for step in program.steps]
    driver = Driver.of(program, symbols, packing, machine.features)
    units = [*kernels(program.steps), *glue(driver)]
    library, hits = make_library(units, machine, progress)
    fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
    measured = len({symbol_of(step) for step in program.steps if step.call.variant})
    return library, Build(len(units), hits, fallbacks, measured)


def compile_module(
    graph: Graph,
    values: Mapping[str, Array],
    options: CompileOptions,
    machine: Machine | None = None,
) -> CpuModule:
    """A module that runs a graph on a CPU; see `cnndsl.runtime.backend.Backend.compile`.

    Without a machine it is that of the options.
    """
    options = CpuOptions.of(options)
    machine = _machine(graph, options, machine)
    batch = options.batch or 1
    choices = _choices(options)
    if options.tune:
        tune_program(lower(graph, batch, machine), options.tune, choices, options.progress)
    program = lower(graph, batch, machine, choices.variant_of)
    packing = pack((step.node, step.kernel.weights) for step in program.steps)
    library, build = build_library(program, packing, machine, options.progress)
    inputs, outputs = graph_ports(graph, options.batch)
    artefact = Artefact(
        target="cpu",
        inputs=inputs,
        outputs=outputs,
        metadata=options.metadata,
        program={
            "features": machine.features,
            "batch": batch,
            "arena": program.arena,
            **describe(program),
        },
        code={LIBRARY: library, GRAPH: graph_text(options.source or graph)},
        packing=packing,
        weights=packing.evaluate(values),
    )
    module = CpuModule(artefact, options.threads)
    module.build = build
    return module


def tune(graph: Graph, options: CpuOptions) -> tuple[Tuned, ...]:
    """See `cnndsl.runtime.tuning.Tuner`; at most `options.tune` variants of a kernel are timed."""
    program = lower(graph, options.batch or 1, _machine(graph, options))
    return tune_program(program, options.tune, _choices(options), options.progress)


def _machine(graph: Graph, options: CpuOptions, machine: Machine | None = None) -> Machine:
    """The machine of some options, or the given one, if code for the graph can be made.

    Its cores are as many as the threads that are asked for.
    """
    if find_spec("tvm") is None:
        hint = "pip install 'cnndsl[tvm]'; to run compiled modules it is not needed"
        raise CnnError.of("E0721", "TVM, which makes native code, is not installed", hint=hint)
    require_known_sizes(graph)
    if machine is None:
        found = find_machine(options.mcpu)
        machine = replace(found, cores=options.threads or found.cores)
    return replace(machine, winograd=options.winograd)


def _choices(options: CpuOptions) -> Choices:
    return Choices(options.threads or available_cores())
