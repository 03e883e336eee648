"""The plug-in object."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from cnndsl.backends.native.backend import NativeBackend
from cnndsl.backends.wasm.options import WasmOptions
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import FUSIONS
from cnndsl.runtime.backend import Reader
from cnndsl.runtime.module import Module

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact


class WasmBackend(NativeBackend):
    """A folder for web pages and Node: code in WebAssembly, its weights, a module of JavaScript."""

    target = "wasm"
    description = "WebAssembly for browsers and Node, with an example page"
    suffix = ".wasm"
    writes_folders = True
    fusions = FUSIONS
    options = WasmOptions

    def folder_files(self, network: str) -> Collection[str]:
        """See `NamesFiles`. Raises CnnError (E0615)."""
        from cnndsl.backends.cpu.emit.library import symbol_name
        from cnndsl.backends.wasm.module import all_files

        return all_files(symbol_name(network))

    def load(self, path: Path, threads: int | None = None, read: Reader | None = None) -> Module:
        """Raise CnnError (E0603): a folder is loaded by JavaScript."""
        raise CnnError.of(
            "E0603",
            f"{path} is code for browsers and Node, not a module",
            hint="load it with the .js file beside it",
        )

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """See `NativeBackend`. Raises ValueError: there are no such files."""
        raise ValueError("code for WebAssembly is in folders")


BACKEND = WasmBackend()
