"""The time of single kernels on the GPU."""

from __future__ import annotations

import statistics
import weakref
from collections.abc import Sequence
from ctypes import c_void_p
from itertools import cycle

from cnndsl.backends.cuda.driver import Driver, Function, Stream
from cnndsl.backends.cuda.layout import Layout
from cnndsl.backends.cuda.lower import Step
from cnndsl.backends.cuda.machine import SIZES, require_arch
from cnndsl.backends.cuda.program import weights_of

LAUNCHES, ROUNDS = 32, 5
"""Launches in a graph, and how often its time is taken."""
COLD = 128 << 20
"""More bytes than the second-level cache holds."""


class Timer:
    """Times kernels on the first GPU.

    Raises CnnError: E0742 without a GPU, E0743 if code for the architecture does not run there.
    """

    def __init__(self, arch: str):
        self._driver = driver = Driver()
        context = driver.context()
        driver.enter(context)
        require_arch(arch, driver.capability())
        self._stream = driver.stream()
        self._marks = driver.event(), driver.event()
        self._flushed = driver.allocate(COLD)
        weakref.finalize(self, _release, driver, context, self._stream, self._marks, self._flushed)

    def seconds(self, cubin: bytes, step: Step) -> float:
        """The time of one launch of a step's kernel: the median of several rounds.

        Operands and results are zeros that stay where they are, as in a network, where they have
        just been written; each launch reads another copy of the weights from memory. Raises
        CnnError (E0744) if they do not fit into the GPU's memory.
        """
        driver = self._driver
        module = driver.load(cubin)
        buffers: list[int] = []
        try:
            function = driver.function(module, step.symbol)
            driver.allow_shared(function, step.kernel.launch.shared)
            return self._timed(function, step, self._arguments(step, buffers))
        finally:
            for address in buffers:
                driver.free(address)
            driver.unload(module)

    def _arguments(self, step: Step, buffers: list[int]) -> list[list[int]]:
        """The arguments for each copy of the weights, in buffers that are entered into the list."""
        driver = self._driver
        sizes = [weight.size * 4 for weight in weights_of(step).values()]
        copies = max(1, min(LAUNCHES, COLD // max(1, sum(sizes))))
        spans = [_span(layout) for layout in (step.call.output, *step.call.inputs)]
        for size in (*spans, *(size for _ in range(copies) for size in sizes)):
            buffers.append(driver.allocate(size))
            driver.clear(buffers[-1], size)
        driver.finish()
        tensors, weights = buffers[: len(spans)], buffers[len(spans) :]
        count = len(sizes)
        return [[*tensors, *weights[i * count : (i + 1) * count]] for i in range(copies)]

    def _timed(self, function: Function, step: Step, arguments: Sequence[Sequence[int]]) -> float:
        driver, launch = self._driver, step.kernel.launch

        def launches() -> None:
            for _, pointers in zip(range(LAUNCHES), cycle(arguments), strict=False):
                driver.launch(
                    function, launch.grid, launch.threads, launch.shared, self._stream, pointers
                )

        graph = driver.capture(self._stream, launches)
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
        driver.record(first, self._stream)
        driver.launch_graph(graph, self._stream)
        driver.record(last, self._stream)
        driver.synchronise(self._stream)
        return driver.seconds(first, last)


def _release(
    driver: Driver, context: c_void_p, stream: Stream, marks: Sequence[c_void_p], memory: int
) -> None:
    driver.enter(context)
    for mark in marks:
        driver.destroy_event(mark)
    driver.destroy_stream(stream)
    driver.free(memory)


def _span(layout: Layout) -> int:
    """Bytes from the first number of a tensor to behind its last."""
    numbers = layout.sample_stride * layout.batch + layout.channel_stride * layout.padded
    return numbers * SIZES[layout.type]
