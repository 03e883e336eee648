"""Compiling a graph: lower it, translate its kernels to device code, pack the weights."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.module import CUBIN, SOURCE, CudaModule
from cnndsl.backends.cuda.objects import make_code
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.source import kernels, source
from cnndsl.backends.cuda.tables import describe, packing_of
from cnndsl.backends.cuda.tuning.tune import choices_of_gpus
from cnndsl.backends.native.module import make_artefact
from cnndsl.ir.graph import Graph
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, require_float32
from cnndsl.runtime.options import CompileOptions


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> CudaModule:
    """A module that runs a graph on a GPU; see `cnndsl.runtime.backend.Backend.compile`.

    Raises CnnError: E0611 if a size is open, E0740 for an unknown architecture or precision, E0741
    without a CUDA compiler.
    """
    options = CudaOptions.of(options)
    require_known_sizes(graph)
    require_float32(graph)
    machine = find_machine(options.arch, options.precision)
    choices = choices_of_gpus()
    batch = options.batch or 1
    program = lower(graph, batch, machine, lambda call: choices.variant_of(call) or None)
    packing = packing_of(program)
    sources = kernels(program.steps)
    code, hits = make_code(sources, options.progress)
    resources = {name: code[name].resources for name in sources}
    artefact = make_artefact(
        "cuda",
        graph,
        values,
        options,
        packing,
        {
            "arch": machine.arch.name,
            "graph": options.graph,
            **describe(program, packing, resources),
        },
        {
            **{f"{name}{CUBIN}": code[name].cubin for name in sources},
            SOURCE: source(sources.values()).encode(),
        },
        arch=machine.arch.name,
        precision=machine.precision.name,
    )
    module = CudaModule(artefact)
    fallbacks = sum(step.kernel.family == "plain" for step in program.steps)
    module.build = Build(len(sources), hits, fallbacks)
    return module
