"""The plug-in object; TVM is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.native.backend import NativeBackend
from cnndsl.passes.pipeline import FUSIONS
from cnndsl.runtime.module import Module

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact


class CpuBackend(NativeBackend):
    """Native code for CPUs in float32, generated through TVM."""

    target = "cpu"
    description = "native code for this CPU, generated through TVM"
    fusions = FUSIONS
    options = CpuOptions

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """See `NativeBackend`. Raises CnnError (E0723) if this CPU lacks features it needs."""
        from cnndsl.backends.cpu.module import CpuModule
        from cnndsl.backends.cpu.open import OpenCpuModule

        if "open" in artefact.program:
            return OpenCpuModule(artefact, threads)
        module = CpuModule(artefact, threads)
        module.require_cpu()
        return module


BACKEND = CpuBackend()
