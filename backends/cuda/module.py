"""The compiled module of the target `cuda`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cnndsl.backends.cuda.disassembly import machine_products
from cnndsl.backends.cuda.dlpack import DeviceArray, View, is_on_gpu, view
from cnndsl.backends.cuda.session import Session
from cnndsl.backends.cuda.tables import read_resources, read_tasks
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import NativeModule
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.kernels import KernelReport
from cnndsl.runtime.module import Array, Port

CUBIN, SOURCE = ".cubin", "kernels.cu"
"""Files of an artefact: the device code of each kernel by its name, the CUDA text."""


class CudaModule(NativeModule):
    """Runs a compiled program on the first GPU, whose driver is met at the first call.

    Calls of several Python threads come one after another. Raises ValueError, KeyError or
    TypeError for an artefact that is none of a GPU.
    """

    def __init__(self, artefact: Artefact):
        super().__init__(artefact)
        program = artefact.program
        self._regions = {str(port): str(region) for region, port in program["regions"].items()}
        self._tasks = read_tasks(program)
        self.arch = str(program["arch"])
        self.resources = read_resources(program)
        self.cubins = {task.symbol: artefact.code[f"{task.symbol}{CUBIN}"] for task in self._tasks}

    @property
    def source(self) -> str:
        """The CUDA text that the code was made from."""
        return self._artefact.code[SOURCE].decode()

    @property
    def kernels(self) -> list[KernelReport]:
        """All different kernels in the order in which they are first launched.

        Tensor-core instructions are those of the device code where a disassembler is installed,
        else those of the PTX.
        """
        machine = machine_products(self.cubins)
        launches = Counter(task.symbol for task in self._tasks)
        reports = {}
        for task in self._tasks:
            name, used = task.symbol, self.resources[task.symbol]
            reports[name] = KernelReport(
                name,
                launches[name],
                task.launch.threads,
                used.registers,
                task.launch.shared,
                used.spills,
                machine.get(name, used.products),
            )
        return list(reports.values())

    @cached_property
    def session(self) -> Session:
        """The module on the GPU, made at the first use.

        Raises CnnError: E0742 without a GPU, E0743 if the code is for another one, E0744 if its
        memory is too small.
        """
        ports = (*self.inputs, *self.outputs)
        return Session(
            self.cubins,
            self.arch,
            self._tasks,
            self.arena_bytes,
            self._artefact.weights,
            self._by_region({port.name: self._bytes(port) for port in ports}),
            bool(self._artefact.program["graph"]),
        )

    def _bytes(self, port: Port) -> int:
        return math.prod(self.batch_shape(port)) * port.type.dtype.bytes

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs; without a fixed batch size one sample after another."""
        results = self._empty_results(arrays)
        for batch in self._batches(arrays, results):
            self.session.run(*map(self._by_region, batch))
        return results

    def _by_region(self, of_ports: Mapping[str, Any]) -> dict[str, Any]:
        return {self._regions[name]: value for name, value in of_ports.items()}

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """As `Module.__call__`; tensors on the GPU are used where they are.

        If the inputs offer DLPack tensors on the GPU (torch, cupy), of exactly the module's batch,
        the results are `DeviceArray`s for `from_dlpack`. Raises CnnError (E0604) for inputs of
        both kinds, of another shape, not dense, or not float32.
        """
        if not any(map(is_on_gpu, (*arrays, *named.values()))):
            return super().__call__(*arrays, **named)
        given = self.by_name(arrays, named)
        views = [self._view(port, given[port.name]) for port in self.inputs]
        session = self.session
        results = {
            port.name: DeviceArray(
                session.allocate(self._bytes(port)), self.batch_shape(port), session.free
            )
            for port in self.outputs
        }
        addresses = {port.name: v.address for port, v in zip(self.inputs, views, strict=True)}
        self.run_on_device(addresses | {name: array.address for name, array in results.items()})
        return next(iter(results.values())) if len(results) == 1 else results

    def _view(self, port: Port, array: Any) -> View:
        if not is_on_gpu(array):
            raise CnnError.of("E0604", f"input {port.name!r} is not on the GPU, others are")
        found = view(port.name, array, self.session.stream.value or 0)
        if found.shape != self.batch_shape(port):
            wanted, given = ("x".join(map(str, s)) for s in (self.batch_shape(port), found.shape))
            raise CnnError.of("E0604", f"input {port.name!r} is {wanted}, not {given}")
        return found

    def run_on_device(self, addresses: Mapping[str, int]) -> None:
        """Compute one batch between dense float32 buffers of the GPU, by input and output name.

        `addresses` are where they start; see `cnndsl.runtime.layers.OnDevice`.
        """
        self.session.run_on_device(self._by_region(addresses))

    def time_layers(self, arrays: Mapping[str, Array]) -> list[float]:
        """See `cnndsl.runtime.layers.Layered`."""
        self.run(arrays)
        return self.session.time_tasks()

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `NativeModule`; those on the GPU are replaced too."""
        super().set_weights(weights)
        if "session" in self.__dict__:
            self.session.set_weights(self._artefact.weights)
