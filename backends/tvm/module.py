"""The compiled module of the target `cpu`."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from cnndsl.backends.tvm.lower import Program
from cnndsl.backends.tvm.runtime import Library
from cnndsl.backends.tvm.weights import Packing, aligned
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array, Module, Port


class CpuModule(Module):
    """Runs a compiled program. Every calling thread has an arena of its own."""

    def __init__(
        self,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        metadata: Mapping[str, str],
        library: bytes,
        weights: Array,
        arena: int,
        batch: int,
        threads: int | None,
    ):
        super().__init__(inputs, outputs, metadata)
        self._code = library
        self._weights = weights
        self._arena_floats = arena
        self._batch = batch
        self._local = threading.local()
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            path = Path(folder) / "library.so"
            path.write_bytes(library)
            self._library = Library(path, threads)

    @classmethod
    def of(
        cls,
        graph: Graph,
        program: Program,
        packing: Packing,
        library: bytes,
        values: Mapping[str, Array],
        options: CompileOptions,
    ) -> Self:
        """The module of a program that was just compiled."""
        def port(name: str, node: str) -> Port:
            return Port(name, graph[node].type, options.batch)

        return cls(
            tuple(port(name, name) for name in graph.inputs),
            tuple(port(name, node) for name, node in graph.outputs.items()),
            options.metadata,
            library,
            packing.evaluate(values),
            program.arena,
            options.batch or 1,
            options.threads,
        )

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs; without a fixed batch size one sample after another."""
        inputs = [np.ascontiguousarray(arrays[port.name], np.float32) for port in self.inputs]
        count = len(inputs[0])
        results = {
            port.name: np.empty((count, *port.type.shape), np.float32) for port in self.outputs
        }
        arena = self._arena()
        for start in range(0, count, self._batch):
            part = slice(start, start + self._batch)
            given = [array[part] for array in inputs]
            made = [results[port.name][part] for port in self.outputs]
            self._library.run([arena, self._weights, *given, *made])
        return results

    def _arena(self) -> Array:
        arena: Array | None = getattr(self._local, "arena", None)
        if arena is None:
            arena = self._local.arena = aligned(max(self._arena_floats, 1))
            arena[:] = 0
        return arena

    def save(self, path: str | Path) -> None:
        """Write a `.cnnmod` file, atomically."""
        raise NotImplementedError


