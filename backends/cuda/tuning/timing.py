"""The time of single kernels on the GPU."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from ctypes import c_void_p
from itertools import cycle

from cnndsl.backends.cuda.driver import Device, Function
from cnndsl.backends.cuda.layout import Layout
from cnndsl.backends.cuda.lower import Step
from cnndsl.backends.cuda.tables import weights_of

LAUNCHES, ROUNDS = 32, 5
"""Launches in a graph, and how often its time is taken."""
COLD = 128 << 20
"""More bytes than the second-level cache holds."""


class Timer(Device):
    """Times kernels on the first GPU; see `Device`."""

    def __init__(self, arch: str):
        super().__init__(arch)
        self._marks = self._driver.event(self._held), self._driver.event(self._held)
        self._flushed = self._allocate(COLD)

    def seconds(self, cubin: bytes, step: Step) -> float:
        """The time of one launch of a step's kernel: the median of several rounds.

        Operands and results are zeros that stay where they are, as in a network, where they have
        just been written; each launch reads another copy of the weights from memory. Raises
        CnnError (E0744) if they do not fit into the GPU's memory.
        """
        driver = self._driver
        with ExitStack() as held:
            function = driver.function(driver.load(cubin, held), step.symbol)
            driver.allow_shared(function, step.kernel.launch.shared)
            return self._timed(function, step, self._arguments(step, held))

    def _arguments(self, step: Step, held: ExitStack) -> list[list[int]]:
        """The arguments for each copy of the weights, in memory that is held."""
        driver = self._driver

        def zeros(size: int) -> int:
            address = driver.allocate(size)
            held.callback(driver.free, address)
            driver.clear(address, size)
            return address

        sizes = [weight.bytes for weight in weights_of(step).values()]
        copies = max(1, min(LAUNCHES, COLD // max(1, sum(sizes))))
        tensors = [zeros(_span(layout)) for layout in (step.call.output, *step.call.inputs)]
        arguments = [[*tensors, *map(zeros, sizes)] for _ in range(copies)]
        driver.finish()
        return arguments

    def _timed(self, function: Function, step: Step, arguments: Sequence[Sequence[int]]) -> float:
        driver, launch = self._driver, step.kernel.launch

        def launches() -> None:
            for _, pointers in zip(range(LAUNCHES), cycle(arguments), strict=False):
                driver.launch(
                    function, launch.grid, launch.threads, launch.shared, self.stream, pointers
                )

        graph = driver.capture(self.stream, launches)
        try:
            self._round(graph)
            return statistics.median(self._round(graph) for _ in range(ROUNDS)) / LAUNCHES
        finally:
            driver.destroy_graph(graph)

    def _round(self, graph: c_void_p) -> float:
        """The time of a graph whose operands have left the caches."""
        driver, (first, last) = self._driver, self._marks
        driver.clear(self._flushed, COLD)
        driver.finish()
        driver.record(first, self.stream)
        driver.launch_graph(graph, self.stream)
        driver.record(last, self.stream)
        driver.synchronise(self.stream)
        return driver.seconds(first, last)


def _span(layout: Layout) -> int:
    """Bytes from the first number of a tensor to behind its last."""
    numbers = layout.sample_stride * layout.batch + layout.channel_stride * layout.padded
    return numbers * layout.dtype.bytes
