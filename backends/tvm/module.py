"""The compiled module of the target `cpu`."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import NativeModule
from cnndsl.backends.native.packing import FLOAT, aligned
from cnndsl.backends.tvm.features import missing_features
from cnndsl.backends.tvm.runtime import Library, available_cores
from cnndsl.backends.tvm.tables import read_layers, read_tensors
from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import TensorType
from cnndsl.runtime.layers import Peak
from cnndsl.runtime.module import Array

LIBRARY = "library.so"
"""The file of an artefact that holds the code."""


class CpuModule(NativeModule):
    """Runs a compiled program in float32, on `threads` threads or on all cores.

    Several Python threads may call it at a time; each has an arena of its own. Calls that run while
    `set_weights` does finish with the old weights. Raises ValueError, KeyError or TypeError for an
    artefact that is none of a CPU.
    """

    def __init__(self, artefact: Artefact, threads: int | None = None):
        super().__init__(artefact)
        self._features = tuple(map(str, artefact.program["features"]))
        self._arena_floats = int(artefact.program["arena"])
        self.layers = read_layers(artefact.program)
        self._tensors = read_tensors(artefact.program)
        self._threads = threads
        self._local = threading.local()

    @cached_property
    def _library(self) -> Library:
        """The code, loaded when it is first needed: it may be meant for another CPU.

        Raises CnnError (E0723) if this CPU lacks features that it needs.
        """
        missing = missing_features(self._features)
        if missing:
            raise CnnError.of(
                "E0723",
                f"the module needs a CPU with {', '.join(missing)}, which this one lacks",
                hint="compile it for this machine, or with a smaller --mcpu such as x86-64-v3",
            )
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            path = Path(folder) / "library.so"
            path.write_bytes(self._artefact.code[LIBRARY])
            return Library(path, self._threads)

    @property
    def arena_bytes(self) -> int:
        """Memory for all intermediate tensors of one call."""
        return self._arena_floats * FLOAT

    def prepare(self) -> None:
        """Load the code now. Raises CnnError (E0723) if this CPU cannot run it."""
        assert self._library is not None

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs; without a fixed batch size one sample after another."""
        results = self._empty_results(arrays)
        for buffers in self._calls(arrays, results):
            self._library.run(buffers)
        return results

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        parts: dict[str, list[Array]] = {tensor.node: [] for tensor in self._tensors}
        for buffers in self._calls(arrays, self._empty_results(arrays)):
            done = 0
            for tensor in self._tensors:
                self._library.run(buffers, done, tensor.after)
                done = tensor.after
                parts[tensor.node].append(tensor.read(buffers[0]))
        return {node: np.concatenate(samples) for node, samples in parts.items()}

    def time_layers(self, arrays: Mapping[str, Array]) -> list[float]:
        """See `cnndsl.runtime.layers.Layered`."""
        buffers = next(self._calls(arrays, self._empty_results(arrays)))
        seconds = []
        for step in range(len(self.layers)):
            start = time.perf_counter()
            self._library.run(buffers, step, step + 1)
            seconds.append(time.perf_counter() - start)
        return seconds

    def measure_peak(self) -> Peak:
        """See `cnndsl.runtime.layers.Layered`. This needs the compiler."""
        from cnndsl.backends.tvm.peak import measure_peak

        return measure_peak(self._threads or available_cores())

    def _empty_results(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        count = len(next(iter(arrays.values())))
        return {
            port.name: np.empty((count, *_known(port.type)), np.float32) for port in self.outputs
        }

    def _calls(
        self, arrays: Mapping[str, Array], results: Mapping[str, Array]
    ) -> Iterator[list[Array]]:
        """The buffers of one call of the library after the other, until all samples are done."""
        inputs = [np.ascontiguousarray(arrays[port.name], np.float32) for port in self.inputs]
        outputs = [results[port.name] for port in self.outputs]
        weights = self._artefact.weights
        for start in range(0, len(inputs[0]), self._batch):
            part = slice(start, start + self._batch)
            parts = [array[part] for array in (*inputs, *outputs)]
            yield [self._arena(), weights, *parts]

    def _arena(self) -> Array:
        arena: Array | None = getattr(self._local, "arena", None)
        if arena is None:
            arena = self._local.arena = aligned(max(self._arena_floats, 1))
        return arena


def _known(tensor: TensorType) -> tuple[int, ...]:
    """The shape of a tensor without open sizes."""
    return tuple(size for size in tensor.shape if isinstance(size, int))
