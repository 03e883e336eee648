"""The plug-in object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.native.backend import NativeBackend
from cnndsl.runtime.module import Module

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact


class CudaBackend(NativeBackend):
    """Device code for NVIDIA GPUs, made by nvcc on any machine, run through their driver."""

    target = "cuda"
    description = "kernels for NVIDIA GPUs; compiles without one"
    fusions = frozenset(
        ("horizontal", "padded-shortcut", "fc-to-conv", "concat-activation", "epilogue", "prologue")
    )
    options = CudaOptions

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """See `NativeBackend`; a GPU is needed when the module is called."""
        from cnndsl.backends.cuda.module import CudaModule

        return CudaModule(artefact)


BACKEND = CudaBackend()
