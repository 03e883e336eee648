"""Compiling a graph: at once if its sizes are known, else size by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from cnndsl.backends.cpu.build import compile_known, compile_shared, plain
from cnndsl.backends.cpu.codegen.extents import SizeNeededError
from cnndsl.backends.cpu.machine import FORMATS, require_tvm
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.open import OpenCpuModule, open_artefact
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.native.packing import pack
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.sizes import example_sizes, is_open
from cnndsl.runtime.module import (
    Array,
    Port,
    declared_type,
    graph_ports,
    open_sizes,
    require_formats,
)
from cnndsl.runtime.options import CompileOptions

USUAL = 224
"""Positions of an axis that nothing else is known of."""


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
            hint=f"leave --dynamic out, or give the sizes: {example_sizes(graph)}",
        )
    require_tvm()
    require_formats(graph, FORMATS)
    inputs, _ = graph_ports(graph, options.batch)
    nominal, kernels = _nominal_sizes(inputs, options), None
    if options.batch in (None, 1) or all(node.type.batched for node in graph.nodes()):
        with suppress(SizeNeededError):
            kernels = compile_shared(graph, options, nominal)
    packing = kernels.packing if kernels else pack(plain(graph))
    shared = (kernels.described, kernels.files) if kernels else ()
    module = OpenCpuModule(open_artefact(graph, values, options, packing, *shared), options.threads)
    if kernels:
        module.build = kernels.build
    else:
        module.at(nominal, options.progress)
    return module


def _nominal_sizes(inputs: Sequence[Port], options: CpuOptions) -> dict[str, int]:
    """Those of the network's text; where that leaves a size open, about as large as photos."""
    shapes = {}
    for port in inputs:
        declared = declared_type(port, options.metadata).shape
        shapes[port.name] = [
            n if isinstance(n, int) else n.evaluate(dict.fromkeys(n.symbols(), -(-USUAL // n.step)))
            for n in declared
        ]
    return open_sizes(inputs, shapes)
