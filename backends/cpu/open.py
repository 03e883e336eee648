"""Modules of the target `cpu` for networks whose sizes are open: a program for each size in use."""

from __future__ import annotations

import json
import math
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from cnndsl.backends.cpu.arenas import Arenas
from cnndsl.backends.cpu.module import LIBRARY, CpuModule
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.sized import PREPARED, SHARED, open_from_json
from cnndsl.backends.cpu.runtime.library import LOCK, Library
from cnndsl.backends.native.artefact import Artefact, packing_of, recipe_of, write_artefact
from cnndsl.backends.native.module import GRAPH
from cnndsl.backends.native.packing import Packing
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.sizes import at_sizes
from cnndsl.runtime.archive import json_bytes
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, Module, Port, graph_ports, open_sizes
from cnndsl.runtime.options import Progress, silent
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.rename import read_weights

OPEN = "open.json"
"""The file of an artefact that holds the graph that programs are made of."""
LIMIT = 1 << 30
"""Bytes of weights, arenas and kept results that the programs of a module may take together."""
ROOM = 8
"""Arenas have addresses for so many times what the first size needs."""
MOST = 100
"""Programs that a module keeps at most: each is some hundred kilobytes of what Python holds."""

Sizes: TypeAlias = Mapping[str, int]
Key: TypeAlias = tuple[tuple[str, int], ...]
"""The open sizes by name, in the order of their names."""


def open_artefact(
    graph: Graph,
    values: Mapping[str, Array],
    options: CpuOptions,
    packing: Packing,
    kernels: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Artefact:
    """The artefact of a graph of open sizes, without a program for one of them.

    The packed weights are the parameters, and those of kernels that serve all sizes if there are
    any; these are described by values of JSON and have files.
    """
    inputs, outputs = graph_ports(graph, options.batch)
    code = {
        OPEN: json_bytes(to_json(graph)),
        GRAPH: json_bytes(to_json(options.source or graph)),
        **(files or {}),
    }
    kept = {name: getattr(options, name) for name in ("batch", "mcpu", "winograd", "tune")}
    program: dict[str, Any] = {"open": kept, "shared": kernels, "prepared": []}
    weights = packing.evaluate(values)
    return Artefact("cpu", inputs, outputs, dict(options.metadata), program, code, packing, weights)


class Shared:
    """Kernels that serve all sizes, and take a sample: programs are planned, not compiled.

    Raises ValueError, KeyError or TypeError for an artefact without them.
    """

    def __init__(self, artefact: Artefact, threads: int | None):
        self._artefact, self._threads = artefact, threads
        graph = from_json(json.loads(artefact.code[PREPARED]))
        self._program = open_from_json(artefact.program["shared"], graph)
        self._library: Library | None = None

    def at(self, sizes: Sizes) -> CpuModule:
        """The module for some open sizes.

        Raises CnnError (E0604) if the network does not take them, ValueError if the kernels do not.
        """
        own, key = self._artefact, tuple(sorted(sizes.items()))
        features = own.program["shared"]["features"]
        program = {"batch": 1, "features": features, **self._program.at(sizes)}
        inputs, outputs = (
            tuple(replace(_at(port, key), batch=None) for port in ports)
            for ports in (own.inputs, own.outputs)
        )
        code = {LIBRARY: own.code[SHARED], GRAPH: own.code[GRAPH]}
        artefact = replace(own, inputs=inputs, outputs=outputs, program=program, code=code)
        if self._library is None:
            with LOCK:
                self._library = Library(own.code[SHARED], self._threads)
        return CpuModule(artefact, self._threads, self._library)


class OpenCpuModule(Module):
    """Runs a network at any size that it takes: the first call at a size makes a program for it.

    That takes the compiler, unless `prepare` was called for the size before the module was saved.
    The programs in use are kept, up to `limit` bytes of weights, of their common arenas and of kept
    results, and up to MOST; of those beyond, the ones that were used last stay. Several Python
    threads may call it at a time.

    Raises ValueError, KeyError or TypeError for an artefact that is none of open sizes.
    """

    def __init__(self, artefact: Artefact, threads: int | None = None, limit: int = LIMIT):
        super().__init__(artefact.inputs, artefact.outputs, artefact.metadata)
        self._artefact = artefact
        self._options = CpuOptions(threads=threads, **artefact.program["open"])
        self._programs: OrderedDict[Key, CpuModule] = OrderedDict()
        self._arenas = Arenas(room=ROOM)
        self._lock = threading.RLock()
        _OPENED.add(self)
        self.limit = limit
        self.build: Build | None = None
        self._shared = Shared(artefact, threads) if SHARED in artefact.code else None
        self._in_file = {
            tuple((str(name), int(size)) for name, size in key): f"size{number}"
            for number, key in enumerate(artefact.program["prepared"])
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._saved(), self._options.threads, self.limit)

    @property
    def graph(self) -> Graph:
        """The network before the passes of this target."""
        return from_json(json.loads(self._artefact.code[GRAPH]))

    @property
    def weight_bytes(self) -> int:
        """Memory of the parameters, as they are and packed for the kernels that serve all sizes.

        Programs for a size alone have them once more.
        """
        return self._artefact.weights.nbytes

    @property
    def facts(self) -> dict[str, int | str]:
        """See `Module`."""
        kept = [*self._programs.values()]
        return {
            **super().facts,
            "sizes": len(kept),
            "compiled": sum(not _is_shared(program) for program in kept),
            "programs_bytes": self._bytes(),
            "limit_bytes": self.limit,
        }

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs by the program for the sizes of the arrays."""
        return self._program(arrays).run(arrays)

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        return self._program(arrays).trace(arrays)

    def prepare(self, progress: Progress = silent, /, **shapes: tuple[int, ...]) -> CpuModule:
        """Compile a program for inputs of these shapes alone, [channels, *sizes], and return it.

        Raises CnnError: E0604 if the network does not take them, E0721 without TVM or a C compiler.
        """
        sizes = open_sizes(self.inputs, self.by_name((), shapes))
        key = tuple(sorted(sizes.items()))
        with self._lock:
            found = self._programs.get(key)
            if found is None or _is_shared(found):
                found = self._read(key) if key in self._in_file else self._compile(sizes, progress)
            self._keep(key, found)
        return found

    def _program(self, arrays: Mapping[str, Array]) -> CpuModule:
        shapes = {name: array.shape[1:] for name, array in arrays.items()}
        return self.at(open_sizes(self.inputs, shapes))

    def at(self, sizes: Sizes, progress: Progress = silent) -> CpuModule:
        """The program for some open sizes.

        Raises CnnError: E0604 if the network does not take them, E0721 without TVM or a C compiler.
        """
        key = tuple(sorted(sizes.items()))
        with self._lock:
            found = self._programs.get(key)
            if found is None:
                found = self._found(key, sizes, progress)
            self._keep(key, found)
            return found

    def _keep(self, key: Key, program: CpuModule) -> None:
        """Keep a program as the one that was used last, and drop what is beyond the limit."""
        program.arenas = self._arenas
        self._programs[key] = program
        self._programs.move_to_end(key)
        if self._bytes() > self.limit and self._arenas.bytes > program.arena_bytes:
            self._arenas.clear()
        while len(self._programs) > (MOST if self._bytes() <= self.limit else 1):
            self._programs.popitem(last=False)

    def _bytes(self) -> int:
        """Memory of all that is kept between calls."""
        return self._arenas.bytes + sum(map(_own_bytes, self._programs.values()))

    def _open_graph(self) -> Graph:
        return from_json(json.loads(self._artefact.code[OPEN]))

    def _found(self, key: Key, sizes: Sizes, progress: Progress) -> CpuModule:
        """The program for a size out of the file, of the kernels for all sizes, or compiled."""
        if key in self._in_file:
            return self._read(key)
        if self._shared is not None:
            with suppress(ValueError):
                return self._shared.at(sizes)
        return self._compile(sizes, progress)

    def _compile(self, sizes: Sizes, progress: Progress) -> CpuModule:
        from cnndsl.backends.cpu.build import compile_known

        options = replace(self._options, metadata=self.metadata, progress=progress)
        module = compile_known(at_sizes(self._open_graph(), sizes), self._values(), options)
        self.build = module.build
        return module

    def _values(self) -> dict[str, Array]:
        """The parameters by name: they lie among the artefact's weights as they are."""
        values = {}
        for weight, offset in self._artefact.packing.entries.values():
            if isinstance(weight.expression, Parameter):
                name, shape = weight.expression.name, weight.expression.shape
                flat = self._artefact.weights[offset : offset + math.prod(shape)]
                values[name] = flat.reshape(shape)
        return values

    def _read(self, key: Key) -> CpuModule:
        """The program for a size out of the file."""
        name = self._in_file[key]
        described = json.loads(self._artefact.code[f"{name}.json"])
        packing = packing_of(described["recipe"])
        inputs, outputs = (
            tuple(_at(p, key) for p in ports) for ports in (self.inputs, self.outputs)
        )
        code = {LIBRARY: self._artefact.code[f"{name}.so"], GRAPH: self._artefact.code[GRAPH]}
        weights = packing.evaluate(self._values())
        artefact = Artefact(
            "cpu", inputs, outputs, self.metadata, described["program"], code, packing, weights
        )
        return CpuModule(artefact, self._options.threads)

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        packing = self._artefact.packing
        bound = bind(packing.parameters(), read_weights(weights, None), seed=None)
        with self._lock:
            self._artefact = replace(self._saved(), weights=packing.evaluate(bound.values))
            fresh = type(self)(self._artefact, self._options.threads)
            self._in_file, self._shared = fresh._in_file, fresh._shared
            self._programs.clear()
        self.warnings = bound.warnings
        warn_of(bound)

    def _saved(self) -> Artefact:
        """The artefact with the programs that are kept, those of the file included."""
        with self._lock:
            programs = {key: self._program_files(key) for key in self._in_file}
            for key, module in self._programs.items():
                own = module.artefact
                if _is_shared(module):
                    continue
                described = {"program": dict(own.program), "recipe": recipe_of(own.packing)}
                programs[key] = json_bytes(described), own.code[LIBRARY]
            kept = (OPEN, GRAPH, PREPARED, SHARED)
            code = {name: self._artefact.code[name] for name in kept if name in self._artefact.code}
            for number, key in enumerate(sorted(programs)):
                code[f"size{number}.json"], code[f"size{number}.so"] = programs[key]
            program = {
                **self._artefact.program,
                "prepared": [[*map(list, k)] for k in sorted(programs)],
            }
            return replace(self._artefact, code=code, program=program)

    def _program_files(self, key: Key) -> tuple[bytes, bytes]:
        name = self._in_file[key]
        return self._artefact.code[f"{name}.json"], self._artefact.code[f"{name}.so"]

    def save(self, path: str | Path) -> None:
        """Write a `.cnnmod` file with the programs that are kept, atomically."""
        write_artefact(path, self._saved())


def _is_shared(program: CpuModule) -> bool:
    """Whether code and weights are those of all sizes."""
    return "numbers" in program.artefact.program


def _own_bytes(program: CpuModule) -> int:
    """Memory that a program does not share with others."""
    return program.kept_bytes + (0 if _is_shared(program) else program.weight_bytes)


def _at(port: Port, key: Key) -> Port:
    sizes = dict(key)
    shape = tuple(n if isinstance(n, int) else n.evaluate(sizes) for n in port.type.shape)
    return replace(port, type=replace(port.type, shape=shape))


_OPENED: weakref.WeakSet[OpenCpuModule] = weakref.WeakSet()


def _renew_locks() -> None:
    """A thread that held a lock is not in the forked child."""
    for module in _OPENED:
        module._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_locks)
