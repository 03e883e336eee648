"""What a backend is, and how the installed ones are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array, Module


@dataclass(frozen=True)
class CompileOptions:
    """What a user may ask of any backend; a backend ignores what does not concern it.

    `batch`: fixed batch size, or None for any. `threads`: None leaves it to the runtime.
    `dtype`: float32 or float64 (the reference backend only). `metadata` goes into the artefact.
    `mcpu`: the CPU to make code for, by LLVM's name. `winograd`: whether convolutions may be
    computed with fewer products, less exactly.
    """

    batch: int | None = None
    threads: int | None = None
    dtype: str = "float32"
    metadata: Mapping[str, str] = field(default_factory=dict)
    mcpu: str = "native"
    winograd: bool = True


class Backend(Protocol):
    """A plug-in under the entry point group `cnndsl.backends`, named by its target.

    `suffix` is the ending of its artefacts, with the dot. `open_sizes` tells whether it takes
    graphs whose sizes are not all known. `fusions` names the passes that make fused operators
    (`cnndsl.passes.pipeline.FUSING`) and are worth it for the backend; every backend can run
    what they make.
    """

    target: str
    description: str
    suffix: str
    open_sizes: bool
    fusions: frozenset[str]

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name."""

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
