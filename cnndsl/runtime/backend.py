"""What a backend is, and how the installed ones are found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import Field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import CompileOptions, user_fields

__all__ = [
    "Backend",
    "Calibrating",
    "CompileOptions",
    "Deciding",
    "Limited",
    "NamesFiles",
    "Reader",
    "Trainable",
    "WritesFolders",
    "all_options",
    "backend",
    "backends",
    "each_backend",
    "given_options",
    "option_names",
]


Reader: TypeAlias = Callable[[Path], bytes]
"""Gives the content of a file."""


class Backend(Protocol):
    """A plug-in under the entry point group `cnndsl.backends`, named by its target.

    `suffix` is the ending of its artefacts, with the dot. `options` is the class of its options,
    with the field `dynamic` if it takes graphs whose sizes are not all known. `fusions` names those
    passes that are worth it for the backend among the ones that make fused operators and the ones
    that trade one kind of work for another (FUSING and RESHAPING of `cnndsl.passes.pipeline`);
    every backend can run what they make.
    """

    target: str
    description: str
    suffix: str
    fusions: frozenset[str]
    options: type[CompileOptions]

    def compile(self, graph: Graph, values: Mapping[str, Array], options: CompileOptions) -> Module:
        """A module from an inference graph and the arrays of all its parameters by name."""

    def start(self) -> None:
        """Import all that its modules need to run, but for what the compiler needs."""

    def load(self, path: Path, threads: int | None = None, read: Reader | None = None) -> Module:
        """A module from an artefact. Raises CnnError if the file is not one.

        `read` gives the content of a file once its signature is verified: then files are read by
        it alone, each once, and their content is what is loaded. It raises CnnError.
        """


@runtime_checkable
class Limited(Protocol):
    """A backend whose artefacts cannot be of any size."""

    def check_size(self, graph: Graph) -> None:
        """Raise CnnError if the weights of an inference graph, not made yet, are too large."""


@runtime_checkable
class WritesFolders(Protocol):
    """A backend whose modules are written as folders."""

    writes_folders: bool


@runtime_checkable
class NamesFiles(Protocol):
    """A backend that knows the files of a folder before there is anything to write."""

    def folder_files(self, network: str) -> Collection[str]:
        """All names that files in the folder of a network may have. Raises CnnError."""


@runtime_checkable
class Deciding(Protocol):
    """A backend to which users can leave the value of an option."""

    def decide(self, options: CompileOptions) -> tuple[CompileOptions, str | None]:
        """The options with nothing left open, and a remark on what was decided, if anything."""


@runtime_checkable
class Calibrating(Protocol):
    """A backend that can fit starting weights to a network by running it."""

    def calibrated(
        self, graph: Graph, values: Mapping[str, Array], inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The values with which all layers of an inference graph make values of unit size."""


@runtime_checkable
class Trainable(Protocol):
    """A backend that takes networks as they are written, with what acts in training only.

    Without weights it gets no values.
    """

    trainable: bool


def backends() -> dict[str, Backend]:
    """The installed backends by target name."""
    return dict(each_backend())


def each_backend() -> Iterator[tuple[str, Backend]]:
    """The installed backends by target name; each is imported when it is asked for."""
    for name, point in _points().items():
        yield name, point.load()


def backend(target: str) -> Backend:
    """The backend of a target. Raises CnnError with the known targets."""
    points = _points()
    if target not in points:
        hint = did_you_mean(str(target), points) or f"targets: {', '.join(points)}"
        raise CnnError.of("E0605", f"unknown target {target!r}", hint=hint)
    loaded: Backend = points[target].load()
    return loaded


@cache
def _points() -> dict[str, EntryPoint]:
    """Where the backends are, by target name; Python reads what all packages publish for it."""
    points = entry_points(group="cnndsl.backends")
    return {point.name: point for point in sorted(points, key=lambda point: point.name)}


def given_options(targets: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that are not None.

    Raises CnnError: E0605 for an unknown target, E0614 for an option that none of them has.
    """
    known = {name for target in targets for name in option_names(backend(target))}
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known:
            owners = [target for target, b in backends().items() if name in option_names(b)]
            raise CnnError.of(
                "E0614",
                f"the target {' or '.join(targets)} has no option {name!r}",
                hint=f"leave it out, or choose a target that has it: {', '.join(owners)}",
            )
    return given


def option_names(of: Backend) -> list[str]:
    """The options of a backend that users may give."""
    return [item.name for item in user_fields(of.options)]


def all_options() -> dict[str, tuple[Field[Any], list[str]]]:
    """Every option of the installed backends, and the targets that have it, by name."""
    found: dict[str, tuple[Field[Any], list[str]]] = {}
    for target, loaded in backends().items():
        for item in user_fields(loaded.options):
            found.setdefault(item.name, (item, []))[1].append(target)
    return found
