"""What a backend is, and how the installed ones are found."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import CompileOptions

__all__ = ["Backend", "CompileOptions", "backend", "backends"]


class Backend(Protocol):
    """A plug-in under the entry point group `cnndsl.backends`, named by its target.

    `suffix` is the ending of its artefacts, with the dot. `open_sizes` tells whether it takes
    graphs whose sizes are not all known. `fusions` names those passes that are worth it for the
    backend among the ones that make fused operators and the ones that trade one kind of work for
    another (FUSING and RESHAPING of `cnndsl.passes.pipeline`); every backend can run what they
    make.
    """

    target: str
    description: str
    suffix: str
    open_sizes: bool
    fusions: frozenset[str]

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name."""

    def start(self) -> None:
        """Import all that its modules need to run, but for what the compiler needs."""

    def load(self, path: Path, threads: int | None = None) -> Module:
        """A module from an artefact. Raises CnnError if the file is not one."""


def backends() -> dict[str, Backend]:
    """The installed backends by target name."""
    found = sorted(entry_points(group="cnndsl.backends"), key=lambda point: point.name)
    return {point.name: point.load() for point in found}


def backend(target: str) -> Backend:
    """The backend of a target. Raises CnnError with the known targets."""
    points = {point.name: point for point in entry_points(group="cnndsl.backends")}
    if target not in points:
        known = ", ".join(sorted(points))
        raise CnnError.of("E0605", f"unknown target {target!r}", hint=f"targets: {known}")
    loaded: Backend = points[target].load()
    return loaded
