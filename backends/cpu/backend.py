"""The plug-in object; TVM is imported when it is used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.native.backend import NativeBackend
from cnndsl.passes.pipeline import FUSIONS
from cnndsl.runtime.module import Module
from cnndsl.runtime.options import CompileOptions

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact


class CpuBackend(NativeBackend):
    """Native code for CPUs in float32, generated through TVM."""

    target = "cpu"
    description = "native code for CPUs, generated through TVM"
    fusions = FUSIONS
    options = CpuOptions

    def decide(self, options: CompileOptions) -> tuple[CompileOptions, str | None]:
        """See `Deciding`: the precision `auto` is bf16 where the CPU multiplies it."""
        asked = CpuOptions.of(options)
        if asked.precision != "auto":
            return asked, None
        from cnndsl.backends.cpu.machine import find_machine

        able = find_machine(asked.mcpu, asked.triple).multiplies_bf16
        reason = "the CPU multiplies bf16" if able else "the CPU does not multiply bf16"
        chosen = "bf16" if able else "f32"
        return replace(asked, precision=chosen), f"precision {chosen}: {reason}"

    def folder_files(self, network: str) -> Collection[str]:
        """See `NamesFiles`: those of a library. Raises CnnError (E0615)."""
        from cnndsl.backends.cpu.emit.library import all_files

        return all_files(network)

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
