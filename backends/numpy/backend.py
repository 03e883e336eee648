"""The plug-in object of the target `reference`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.numpy.artefact import SUFFIX, not_an_artefact, read_artefact
from cnndsl.backends.numpy.module import ReferenceModule
from cnndsl.backends.numpy.options import ReferenceOptions
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions, Reader
from cnndsl.runtime.module import Array, require_formats


@dataclass(frozen=True)
class ReferenceBackend:
    """Plain numpy in float32 or float64: slow, simple, the oracle of every other backend."""

    target: str = "reference"
    description: str = "plain numpy, the oracle of every other backend"
    suffix: str = SUFFIX
    fusions: frozenset[str] = frozenset()
    options: type[CompileOptions] = ReferenceOptions

    def compile(
        self, graph: Graph, values: Mapping[str, Array], options: CompileOptions
    ) -> ReferenceModule:
        """A module from an inference graph and the arrays of all its parameters by name.

        Tensors are float32 or bfloat16 numbers, or codes. Raises CnnError (E0710) for others, and
        for a dtype other than float32 and float64.
        """
        asked = ReferenceOptions.of(options)
        require_formats(graph, ("float32", "bfloat16", "uint8"))
        if asked.dtype not in ("float32", "float64"):
            raise CnnError.of(
                "E0710",
                f"the reference backend computes in float32 or float64, not {asked.dtype}",
            )
        return ReferenceModule(graph, values, asked.metadata, dtype=asked.dtype, batch=asked.batch)

    def calibrated(
        self, graph: Graph, values: Mapping[str, Array], inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """See `cnndsl.runtime.backend.Calibrating`."""
        from cnndsl.backends.numpy.calibrate import calibrated

        return calibrated(graph, values, inputs)

    def start(self) -> None:
        """Import all that its modules need to run."""
        import cnndsl.backends.numpy.module  # noqa: F401

    def load(
        self, path: Path, threads: int | None = None, read: Reader | None = None
    ) -> ReferenceModule:
        """A module from a `.cnnref` file. Raises CnnError if the file is not one."""
        found = read_artefact(path, read)
        try:
            return ReferenceModule(
                found.graph, found.values, found.metadata, dtype=found.dtype, batch=found.batch
            )
        except (ValueError, KeyError, TypeError, IndexError, MemoryError) as error:
            problem = f"its weight expressions cannot be computed ({error})"
            raise not_an_artefact(path, problem) from None


BACKEND = ReferenceBackend()
