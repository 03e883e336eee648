"""A module on a GPU: its code, weights and arena in device memory, and how a call runs."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ctypes import c_void_p
from itertools import pairwise
from typing import Any

import numpy as np

from cnndsl.backends.cuda.driver import Device, Driver, Function
from cnndsl.backends.cuda.tables import WEIGHTS, Task
from cnndsl.runtime.module import Array

GRAPHS = 16
"""Graphs that are kept, for as many sets of buffers."""


class Session(Device):
    """Everything is allocated when a session is made; calls come one after another.

    `cubins` are the device code of the tasks' kernels by name,
    `sizes` are the bytes of the inputs' and outputs' buffers by region. Raises CnnError: E0742
    without a GPU, E0743 if the code is for another one, E0744 if its memory is too small.
    """

    def __init__(
        self,
        cubins: Mapping[str, bytes],
        arch: str,
        tasks: Sequence[Task],
        arena: int,
        weights: Array,
        sizes: Mapping[str, int],
        graph: bool,
    ):
        super().__init__(arch)
        driver = self._driver
        self._tasks = tuple(tasks)
        self._lock = threading.Lock()
        self._captures = graph
        self._graphs: dict[tuple[tuple[str, int], ...], c_void_p] = {}
        self._functions: dict[str, Function] = {}
        self._load(cubins)
        regions = {"arena": arena, WEIGHTS: weights.nbytes, **sizes}
        self._memory = {name: self._allocate(size) for name, size in regions.items()}
        self._staging = {name: self._host_array(size) for name, size in sizes.items()}
        self._held.callback(_destroy, driver, self._graphs)
        driver.clear(self._memory["arena"], arena)
        self.set_weights(weights)

    def _load(self, cubins: Mapping[str, bytes]) -> None:
        """Make functions of the device code, with the shared memory that their launches need."""
        driver = self._driver
        for name, cubin in cubins.items():
            module = driver.load(cubin, self._held)
            self._functions[name] = driver.function(module, name)
        for task in self._tasks:
            driver.allow_shared(self._functions[task.symbol], task.launch.shared)

    def _host_array(self, size: int) -> Array:
        """Numbers of the host that the GPU can copy by itself."""
        address = self._driver.allocate_host(size, self._held)
        memory = (ctypes.c_ubyte * size).from_address(address)
        array: Array = np.ctypeslib.as_array(memory).view(np.float32)
        return array

    def set_weights(self, weights: Array) -> None:
        """Copy the packed weights to the device."""
        with self._lock:
            self._driver.enter(self._context)
            self._driver.upload(self._memory[WEIGHTS], weights.ctypes.data, weights.nbytes)
            self._driver.finish()

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Compute one batch from host arrays into host arrays, float32, by region."""
        with self._lock:
            driver = self._driver
            driver.enter(self._context)
            for name, array in inputs.items():
                staging = self._staging[name]
                np.copyto(staging.reshape(array.shape), array)
                driver.upload(self._memory[name], staging.ctypes.data, staging.nbytes, self.stream)
            self._compute({})
            for name in outputs:
                staging = self._staging[name]
                driver.download(
                    staging.ctypes.data, self._memory[name], staging.nbytes, self.stream
                )
            driver.synchronise(self.stream)
            for name, array in outputs.items():
                array[:] = self._staging[name].reshape(array.shape)

    def run_on_device(self, addresses: Mapping[str, int]) -> None:
        """Compute one batch between buffers of the device, by region, and wait for it."""
        with self._lock:
            self._driver.enter(self._context)
            self._compute(addresses)
            self._driver.synchronise(self.stream)

    def allocate(self, size: int) -> int:
        """Device memory for a result."""
        self._driver.enter(self._context)
        return self._driver.allocate(size)

    def free(self, address: int) -> None:
        """Give such memory back."""
        self._driver.enter(self._context)
        self._driver.free(address)

    def time_tasks(self) -> list[float]:
        """Seconds of each launch in one pass over whatever the buffers hold."""
        driver = self._driver
        with self._lock, ExitStack() as held:
            driver.enter(self._context)
            marks = [driver.event(held) for _ in range(len(self._tasks) + 1)]
            driver.record(marks[0], self.stream)
            for task, mark in zip(self._tasks, marks[1:], strict=True):
                self._launch(task, self._memory)
                driver.record(mark, self.stream)
            driver.synchronise(self.stream)
            return [driver.seconds(first, last) for first, last in pairwise(marks)]

    def _compute(self, addresses: Mapping[str, int]) -> None:
        """All launches, as a graph if there is one for these buffers or there may be."""
        if not self._captures:
            self._launch_all(addresses)
            return
        key = tuple(sorted(addresses.items()))
        if key not in self._graphs:
            if len(self._graphs) >= GRAPHS:
                self._driver.destroy_graph(self._graphs.pop(next(iter(self._graphs))))
            self._graphs[key] = self._driver.capture(
                self.stream, lambda: self._launch_all(addresses)
            )
        self._driver.launch_graph(self._graphs[key], self.stream)

    def _launch_all(self, addresses: Mapping[str, int]) -> None:
        memory = {**self._memory, **addresses}
        for task in self._tasks:
            self._launch(task, memory)

    def _launch(self, task: Task, memory: Mapping[str, int]) -> None:
        pointers = [memory[slot.region] + slot.offset for slot in task.arguments]
        launch = task.launch
        function = self._functions[task.symbol]
        self._driver.launch(
            function, launch.grid, launch.threads, launch.shared, self.stream, pointers
        )


def _destroy(driver: Driver, graphs: Mapping[Any, c_void_p]) -> None:
    for graph in graphs.values():
        driver.destroy_graph(graph)
