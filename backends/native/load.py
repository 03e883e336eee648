"""Loading a `.cnnmod` file with the backend that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from cnndsl.backends.native.artefact import Artefact, read_artefact
from cnndsl.runtime.backend import Backend, backend
from cnndsl.runtime.module import Module


class NativeBackend(Backend, Protocol):
    """A backend whose modules are kept as `.cnnmod` files."""

    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """The module of a file's content, ready to run.

        Raises ValueError, KeyError or TypeError if the content is not as it should be, CnnError
        if it cannot run here.
        """


def load_module(path: Path, threads: int | None) -> Module:
    """A module from a file. Raises CnnError; see `cnndsl.runtime.backend.Backend.load`."""

    def opened(artefact: Artefact) -> Module:
        return cast(NativeBackend, backend(artefact.target)).open(artefact, threads)

    return read_artefact(path, opened)
