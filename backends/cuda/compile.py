"""Compiling a graph: lower it, translate its kernels to device code, pack the weights."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.cuda.choices import fastest_variant
from cnndsl.backends.cuda.code import make_code
from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.module import CUBIN, SOURCE, CudaModule
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.program import describe, packing_of
from cnndsl.backends.cuda.source import kernels, source
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import GRAPH, graph_text
from cnndsl.ir.graph import Graph
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, graph_ports
from cnndsl.runtime.options import CompileOptions


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> CudaModule:
    """A module that runs a graph on a GPU; see `cnndsl.runtime.backend.Backend.compile`."""
    options = CudaOptions.of(options)
    require_known_sizes(graph)
    machine = find_machine(options.arch, options.precision)
    batch = options.batch or 1
    program = lower(graph, batch, machine, fastest_variant)
    packing = packing_of(program)
    sources = kernels(program.steps)
    code, hits = make_code(sources, lambda done: options.progress("compiling", done, len(sources)))
    resources = {name: code[name].resources for name in sources}
    inputs, outputs = graph_ports(graph, options.batch)
    artefact = Artefact(
        target="cuda",
        inputs=inputs,
        outputs=outputs,
        metadata={
            **options.metadata,
            "arch": machine.arch.name,
            "precision": machine.precision.name,
        },
        program={
            "arch": machine.arch.name,
            "batch": batch,
            "graph": options.graph,
            **describe(program, packing, resources),
        },
        code={
            **{f"{name}{CUBIN}": code[name].cubin for name in sources},
            SOURCE: source(sources.values()).encode(),
            GRAPH: graph_text(options.source or graph),
        },
        packing=packing,
        weights=packing.evaluate(values),
    )
    module = CudaModule(artefact)
    fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
    module.build = Build(len(sources), hits, fallbacks)
    return module
