"""Compiling a graph: at once if its sizes are known, else size by size."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.cpu.build import compile_known
from cnndsl.backends.cpu.machine import FORMATS, require_tvm
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.open import OpenCpuModule, open_artefact
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.sizes import is_open
from cnndsl.runtime.module import Array, require_formats
from cnndsl.runtime.options import CompileOptions


def compile_module(
    graph: Graph, values: Mapping[str, Array], options: CompileOptions
) -> CpuModule | OpenCpuModule:
    """A module that runs a graph on a CPU; see `cnndsl.runtime.backend.Backend.compile`.

    If sizes are open, the program for those of the network's text is made at once. Raises CnnError
    as `compile_known` does, and E0611 if sizes are open in a library or for another machine.
    """
    options = CpuOptions.of(options)
    if not is_open(graph):
        return compile_known(graph, values, options)
    if options.emit == "library" or options.triple:
        raise CnnError.of(
            "E0611",
            "libraries, and code for other machines, are made for known sizes",
            hint="leave --dynamic out, or give the sizes: --input-shape image=3x224x224",
        )
    require_tvm()
    require_formats(graph, FORMATS)
    module = OpenCpuModule(open_artefact(graph, values, options), options.threads)
    declared = {port.name: module.declared_type(port) for port in module.inputs}
    if not any(kind.is_open for kind in declared.values()):
        module.prepare(options.progress, **{name: kind.sizes for name, kind in declared.items()})
    return module
