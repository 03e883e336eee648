"""The compiled module of the target `cpu`."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnndsl.backends.cpu.arenas import Arenas
from cnndsl.backends.cpu.features import missing_features, runs_here
from cnndsl.backends.cpu.loans import Loans
from cnndsl.backends.cpu.program.tables import read_tensors
from cnndsl.backends.cpu.runtime.library import LOCK, Facts, Library, available_cores
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import NativeModule
from cnndsl.backends.native.packing import FLOAT
from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import FLOAT32
from cnndsl.runtime.layers import Peak
from cnndsl.runtime.module import Array, Port
from cnndsl.runtime.sizes import Size

if TYPE_CHECKING:
    from cnndsl.backends.cpu.emit.library import Emitted

LIBRARY = "library.so"
"""The file of an artefact that holds the code."""


class CpuModule(NativeModule):
    """Runs a compiled program in float32, on `threads` threads or on all cores.

    Several Python threads may call it at a time; each call has an arena. Calls that run while
    `set_weights` does finish with the old weights. Raises ValueError, KeyError or TypeError for an
    artefact that is none of a CPU.

    `opened` is the library in memory, if the code of others is the same. `arenas` may be shared by
    modules.
    """

    KEPT = (*NativeModule.KEPT, "_threads", "emitted")

    def __init__(
        self, artefact: Artefact, threads: int | None = None, opened: Library | None = None
    ):
        super().__init__(artefact)
        self._features = tuple(map(str, artefact.program["features"]))
        self._tensors = read_tensors(artefact.program)
        self._threads = threads
        self.arenas = Arenas()
        self._loans = Loans()
        self.emitted: Emitted | None = None
        self._opened = opened
        self._loaded: Library | None = None

    @property
    def _library(self) -> Library:
        """The code, loaded when it is first called: it may be meant for another CPU.

        Raises CnnError: E0723 if this CPU lacks features that it needs, E0725 if the system does
        not load it, E0603 if it is not what the artefact says.
        """
        if self._loaded is None:
            with LOCK:
                self._loaded = self._loaded or self._load()
        return self._loaded

    def _load(self) -> Library:
        self.require_cpu()
        try:
            library = self._opened or Library(self._artefact.code[LIBRARY], self._threads)
            program = self._artefact.program
            if "numbers" in program:
                library = library.at(self._regions, program["numbers"], program["tables"])
            self._require(library.facts)
        except ValueError as error:
            raise CnnError.of(
                "E0603",
                f"the module's code is not what its manifest says: {error}",
                hint="make it anew with `cnndsl compile`",
            ) from None
        return library

    @property
    def facts(self) -> dict[str, int | str]:
        """See `Module`."""
        return {**super().facts, "features": ",".join(self._features)}

    def require_cpu(self) -> None:
        """Raise CnnError (E0723) if this CPU lacks features that the code needs."""
        triple = str(self._artefact.program.get("triple", ""))
        if triple and not runs_here(triple):
            raise CnnError.of(
                "E0723",
                f"the module was compiled for {triple}, which this machine is not",
                hint="run it there, or compile it without --triple",
            )
        missing = missing_features(self._features)
        if missing:
            raise CnnError.of(
                "E0723",
                f"the module needs a CPU with {', '.join(missing)}, which this one lacks",
                hint="compile it for this machine, or with a smaller --mcpu such as x86-64-v3",
            )

    def save(self, path: str | Path) -> None:
        """See `NativeModule`; a module that was made for a library in C writes its folder."""
        if self.emitted is None:
            super().save(path)
            return
        from cnndsl.backends.cpu.emit.library import write_library

        write_library(path, self.emitted, self._artefact)

    def _code_sizes(self) -> list[Size]:
        """Of each kernel, named by the first layer that it computes; and of the rest."""
        from cnndsl.backends.cpu.emit.elf import symbol_bytes

        library = self._artefact.code[LIBRARY]
        functions = symbol_bytes(library)
        symbols = [str(name) for name in self._artefact.program.get("symbols", ())]
        own: dict[str, Size] = {}
        for symbol, layer in zip(symbols, self.layers, strict=False):
            if symbol in functions and symbol not in own:
                count = symbols.count(symbol) - 1
                name = f"{layer.node} ({layer.family})" + (f" and {count} more" if count else "")
                own[symbol] = Size("kernels", name, functions[symbol])
        rest = len(library) - sum(size.bytes for size in own.values())
        files = [size for size in super()._code_sizes() if size.name != LIBRARY]
        return [*own.values(), Size("code", "runtime, table of the steps, padding", rest), *files]

    def _require(self, facts: Facts) -> None:
        """Raise ValueError unless a library is what the artefact says."""
        expected = Facts(
            self.arena_bytes // FLOAT,
            self._artefact.packing.size,
            self._sizes(self.inputs),
            self._sizes(self.outputs),
            len(self.layers),
            self._features,
        )
        for name, wanted in asdict(expected).items():
            found = getattr(facts, name)
            if found != wanted:
                raise ValueError(f"{name} {found}, not {wanted}")
        regions = (facts.arena, facts.weights, *facts.inputs, *facts.outputs)
        for tensor in self._tensors:
            tensor.require(regions, facts.steps)

    @property
    def _regions(self) -> tuple[int, ...]:
        """Floats of the arena, the weights, the inputs and outputs."""
        own = self.arena_bytes // FLOAT, self._artefact.packing.size
        return (*own, *self._sizes(self.inputs), *self._sizes(self.outputs))

    def _sizes(self, ports: Sequence[Port]) -> tuple[int, ...]:
        """Floats of a batch of each port."""
        return tuple(math.prod(self.batch_shape(port)) for port in ports)

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs; without a fixed batch size one sample after another."""
        results = self._empty_results(arrays)
        for buffers in self._calls(arrays, results):
            self._library.run(buffers)
        return results

    @property
    def kept_bytes(self) -> int:
        """Memory of large results that nobody holds any more, for the next call."""
        return self._loans.bytes

    def _new_arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        return self._loans.arrays(shapes)

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        parts: dict[str, list[Array]] = {tensor.node: [] for tensor in self._tensors}
        for buffers in self._calls(arrays, self._empty_results(arrays)):
            done = 0
            for tensor in self._tensors:
                self._library.run(buffers, done, tensor.after)
                done = tensor.after
                parts[tensor.node].append(tensor.read(buffers))
        return {node: np.concatenate(samples) for node, samples in parts.items()}

    def time_layers(self, arrays: Mapping[str, Array]) -> list[float]:
        """See `cnndsl.runtime.layers.Layered`."""
        calls = self._calls(arrays, self._empty_results(arrays))
        buffers = next(calls)
        seconds = []
        for step in range(len(self.layers)):
            start = time.perf_counter()
            self._library.run(buffers, step, step + 1)
            seconds.append(time.perf_counter() - start)
        calls.close()
        return seconds

    def measure_peak(self) -> Peak:
        """See `cnndsl.runtime.layers.Layered`. This needs the compiler."""
        from cnndsl.backends.cpu.tuning.peak import measure_peak

        formats = {layer.format for layer in self.layers} - {FLOAT32.name}
        return measure_peak(self._threads or available_cores(), sorted(formats))

    def _calls(
        self, arrays: Mapping[str, Array], results: Mapping[str, Array]
    ) -> Generator[list[Array]]:
        """The buffers of one call of the library after the other, until all samples are done.

        They share an arena.
        """
        given = {
            port.name: np.ascontiguousarray(arrays[port.name], np.float32) for port in self.inputs
        }
        weights = self._artefact.weights
        with self.arenas.lend(self.arena_bytes // FLOAT) as arena:
            for inputs, outputs in self._batches(given, results):
                yield [arena, weights, *inputs.values(), *outputs.values()]
