"""The time of single kernels on the GPU."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from ctypes import c_void_p

from cnndsl.backends.cuda.driver import Driver, Function
from cnndsl.backends.cuda.layout import Layout
from cnndsl.backends.cuda.lower import Step
from cnndsl.backends.cuda.machine import SIZES, require_arch
from cnndsl.backends.cuda.program import weights_of
from cnndsl.backends.cuda.session import STATIC_SHARED

LAUNCHES, ROUNDS = 32, 5
"""Launches in a graph, and how often its time is taken."""
COLD = 128 << 20
"""Bytes of weights until a copy is read again: more than the second-level cache holds."""


class Timer:
    """Times kernels on the first GPU.

    Raises CnnError: E0742 without a GPU, E0743 if code for the architecture does not run there.
    """

    def __init__(self, arch: str):
        self._driver = driver = Driver()
        driver.enter(driver.context())
        require_arch(arch, driver.capability())
        self._stream = driver.stream()
        self._marks = driver.event(), driver.event()

    def seconds(self, cubin: bytes, step: Step) -> float:
        """The time of one launch of a step's kernel: the median of several rounds.

        Operands and results are zeros that stay where they are, as in a network, where they have
        just been written; each launch reads another copy of the weights. Raises CnnError (E0744)
        if they do not fit into the GPU's memory.
        """
        driver = self._driver
        module = driver.load(cubin)
        buffers: list[int] = []
        try:
            function = driver.function(module, step.symbol)
            if step.kernel.launch.shared > STATIC_SHARED:
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
        driver.begin_capture(self._stream)
        for i in range(LAUNCHES):
            pointers = arguments[i % len(arguments)]
            driver.launch(
                function, launch.grid, launch.threads, launch.shared, self._stream, pointers
            )
        graph = driver.end_capture(self._stream)
        self._round(graph)
        times = [self._round(graph) for _ in range(ROUNDS)]
        driver.call("cuGraphExecDestroy", graph)
        return statistics.median(times) / LAUNCHES

    def _round(self, graph: c_void_p) -> float:
        first, last = self._marks
        self._driver.record(first, self._stream)
        self._driver.launch_graph(graph, self._stream)
        self._driver.record(last, self._stream)
        self._driver.synchronise(self._stream)
        return self._driver.seconds(first, last)


def _span(layout: Layout) -> int:
    """Bytes from the first number of a tensor to behind its last."""
    numbers = layout.sample_stride * layout.batch + layout.channel_stride * layout.padded
    return numbers * SIZES[layout.type]
