"""The plug-in object; TVM is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.native import SUFFIX
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import FUSIONS
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import VARIANTS
from cnndsl.runtime.tuning import Progress, Tuned

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact
    from cnndsl.backends.native.load import NativeBackend


class CpuBackend:
    """Native code for CPUs in float32, generated through TVM."""

    target = "cpu"
    description = "native code for this CPU, generated through TVM"
    suffix = SUFFIX
    fusions: frozenset[str] = FUSIONS
    options: type[CompileOptions] = CpuOptions

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name.

        Raises CnnError: E0602 without room for temporary files, E0611 if a size is open, E0721
        without TVM or a C compiler, E0724 if variants are to be timed that this CPU cannot run.
        """
        from cnndsl.backends.cpu.compile import compile_module

        return compile_module(graph, values, options)

    def tune(self, graph: Graph, options: CompileOptions, progress: Progress) -> tuple[Tuned, ...]:
        """Time variants of all kernels; see `cnndsl.runtime.tuning.Tuner`.

        Raises CnnError as `compile` does.
        """
        from cnndsl.backends.cpu.compile import tune

        asked = CpuOptions.of(options)
        return tune(graph, replace(asked, tune=asked.tune or VARIANTS, progress=progress))

    def start(self) -> None:
        """Import all that its modules need to run, which is not the compiler."""
        importlib.import_module("cnndsl.backends.cpu.module")

    def load(self, path: Path, threads: int | None = None) -> Module:
        """A module from a `.cnnmod` file.

        Its code is loaded by the first call. Raises CnnError: E0601 if the file cannot be read,
        E0603 if it is not a module or is damaged, E0723 if this CPU lacks features that the code
        needs.
        """
        from cnndsl.backends.native.load import load_module

        return load_module(path, threads)

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """See `cnndsl.backends.native.load.NativeBackend`."""
        from cnndsl.backends.cpu.module import CpuModule

        module = CpuModule(artefact, threads)
        module.require_cpu()
        return module


BACKEND: NativeBackend = CpuBackend()
