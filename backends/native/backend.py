"""The plug-in objects of backends whose modules are `.cnnmod` files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnndsl.backends.native import SUFFIX
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions, Reader, backend
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import VARIANTS
from cnndsl.runtime.tuning import Progress, Tuned

if TYPE_CHECKING:
    from cnndsl.backends.native.artefact import Artefact


LARGEST_TENSOR = 2**40
"""Bytes of a tensor at most. No machine has them, and plans of larger ones take minutes."""


def require_room(graph: Graph, batch: int) -> None:
    """Raise CnnError (E0711) if a tensor of known size is larger than any memory."""
    for node in graph.nodes():
        sizes = [size for size in node.type.shape if isinstance(size, int)]
        require_room_for(node.name, 4 * batch * math.prod(sizes))


def require_room_for(name: str, size: int) -> None:
    """Raise CnnError (E0711) if the result of a node has more bytes than any memory."""
    if size > LARGEST_TENSOR:
        raise CnnError.of(
            "E0711",
            f"not enough memory: the result of {name} has {size:,} bytes",
            hint="use a smaller batch or input",
        )


class NativeBackend(ABC):
    """A backend in a package of the name of its target; see `cnndsl.runtime.backend.Backend`.

    What it needs of the package is imported when it is used: `compile_module` of `compile.py`,
    `tune` of `tuning/tune.py`, and `module.py`, all that its modules need to run.
    """

    suffix = SUFFIX
    target: str
    description: str
    fusions: frozenset[str]
    options: type[CompileOptions]

    def _part(self, name: str) -> Any:
        return import_module(f"cnndsl.backends.{self.target}.{name}")

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """See `Backend`. Raises CnnError as `compile_module` does, E0711 for senseless sizes."""
        require_room(graph, options.batch or 1)
        module: Module = self._part("compile").compile_module(graph, values, options)
        return module

    def tune(self, graph: Graph, options: CompileOptions, progress: Progress) -> tuple[Tuned, ...]:
        """See `cnndsl.runtime.tuning.Tuner`. Raises CnnError as `tune` does."""
        require_room(graph, options.batch or 1)
        asked: Any = self.options.of(options)
        asked = replace(asked, tune=asked.tune or VARIANTS, progress=progress)
        rows: tuple[Tuned, ...] = self._part("tuning.tune").tune(graph, asked)
        return rows

    def start(self) -> None:
        """See `Backend`."""
        self._part("module")

    def load(self, path: Path, threads: int | None = None, read: Reader | None = None) -> Module:
        """A module from a `.cnnmod` file, by the backend that made it.

        Its code is loaded by the first call. Raises CnnError: E0601 if the file cannot be read,
        E0603 if it is not a module or is damaged, and what `open` raises.
        """
        from cnndsl.backends.native.artefact import read_artefact

        def opened(artefact: Artefact) -> Module:
            return cast(NativeBackend, backend(artefact.target)).open(artefact, threads)

        return read_artefact(path, opened, read)

    @abstractmethod
    def open(self, artefact: Artefact, threads: int | None) -> Module:
        """The module of a file's content, ready to run.

        Raises ValueError, KeyError or TypeError if the content is not as it should be, CnnError
        if it cannot run here.
        """
