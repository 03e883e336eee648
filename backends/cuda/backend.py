"""The plug-in object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.native import SUFFIX
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.tuning import Progress, Tuned

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact
    from cnndsl.backends.native.load import NativeBackend


class CudaBackend:
    """Device code for NVIDIA GPUs, made by nvcc on any machine, run through their driver."""

    target = "cuda"
    description = "kernels for NVIDIA GPUs; compiles without one"
    suffix = SUFFIX
    fusions: frozenset[str] = frozenset(
        ("horizontal", "padded-shortcut", "fc-to-conv", "concat-activation", "epilogue", "prologue")
    )
    options: type[CompileOptions] = CudaOptions

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name.

        Raises CnnError: E0611 if a size is open, E0740 for an unknown architecture or precision,
        E0741 without a CUDA compiler.
        """
        from cnndsl.backends.cuda.compile import compile_module

        return compile_module(graph, values, options)

    def tune(self, graph: Graph, options: CompileOptions, progress: Progress) -> tuple[Tuned, ...]:
        """Time the variants of all kernels; see `cnndsl.runtime.tuning.Tuner`.

        Raises CnnError as `compile` does, and E0742 to E0745 as modules on the GPU do.
        """
        from cnndsl.backends.cuda.tune import tune

        return tune(graph, CudaOptions.of(options), progress)

    def start(self) -> None:
        """Import all that its modules need to run."""
        import cnndsl.backends.cuda.module  # noqa: F401

    def load(self, path: Path, threads: int | None = None) -> Module:
        """A module from a `.cnnmod` file; a GPU is needed when it is called.

        Raises CnnError: E0601 if the file cannot be read, E0603 if it is not a module or is
        damaged.
        """
        from cnndsl.backends.native.load import load_module

        return load_module(path, threads)

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """See `cnndsl.backends.native.load.NativeBackend`."""
        from cnndsl.backends.cuda.module import CudaModule

        return CudaModule(artefact)


BACKEND: NativeBackend = CudaBackend()
