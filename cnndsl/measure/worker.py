"""A process that runs one model and nothing else, and answers questions about it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.measure import memory
from cnndsl.measure.runtimes import RIVALS, Call, Job, load, start
from cnndsl.runtime.layers import Gauged, Layered, OnDevice, Peak
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.processes import without_main

PR_SET_PDEATHSIG = 1
"""See prctl(2)."""


class Worker:
    """The caller's end: starts the process, which is stopped while it is not asked anything.

    A process that only waits would disturb others: after a call threads spin for a while, those
    of TVM's runtime for some 0.2 s. Raises CnnError where the process cannot do what it is asked
    (E0732 if it ends).
    """

    def __init__(self, job: Job):
        self._runtime = job.runtime
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, job), daemon=True)
        with without_main():
            self._process.start()
        self.pid = self._process.pid or 0
        other.close()
        self._answer()

    def ask(self, question: str, *arguments: Any) -> Any:
        """What a method of `Runner` gives in the process."""
        self._signal(signal.SIGCONT)
        with suppress(ConnectionError):
            self._connection.send((question, arguments))
        return self._answer()

    def _signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def _answer(self) -> Any:
        try:
            answer, diagnostics = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise CnnError.of(
                "E0732",
                f"the process that runs {self._runtime} ended with code {self._process.exitcode}",
                hint="what it said stands above; -9 mostly means that memory ran out",
            ) from None
        if diagnostics:
            self._process.join()
            raise CnnError(diagnostics, usage=True)
        self._signal(signal.SIGSTOP)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        self._connection.close()
        self._signal(signal.SIGCONT)
        self._process.join()
        self._process.close()


def serve(connection: Connection, job: Job) -> None:
    """The process: sends an answer, or the diagnostics of an error, to each question.

    It ends after an error, or when the caller's end of the pipe is closed. What libraries print
    goes to stderr.
    """
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    try:
        runner = Runner(job)
        connection.send((None, ()))
        while True:
            question, arguments = connection.recv()
            connection.send((getattr(runner, question)(*arguments), ()))
    except CnnError as error:
        connection.send((None, error.diagnostics))
    except MemoryError as error:
        problem = CnnError.of(
            "E0711", str(error) or "not enough memory", hint="use a smaller batch or input"
        )
        connection.send((None, problem.diagnostics))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        if job.runtime not in RIVALS:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        problem = CnnError.of("E0732", f"{job.runtime} cannot run the network: {reason}")
        connection.send((None, problem.diagnostics))


def _end_with_parent() -> None:
    """Have Linux kill this process when its parent is gone: one that is stopped cannot notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Runner:
    """A loaded model, random inputs, and what can be measured of them."""

    def __init__(self, job: Job):
        start(job.runtime)
        random = np.random.default_rng(0)
        self._arrays = {
            name: random.standard_normal(shape, np.float32) for name, shape in job.shapes.items()
        }
        self._baseline = memory.resident()
        if job.runtime in RIVALS:
            self._module = None
            self._call = RIVALS[job.runtime].prepare(job, self._arrays)
        else:
            self._module = load(job)
            self._call = _call_of(self._module, self._arrays)
        memory.reset_peak()

    def run(self, seconds: float) -> list[float]:
        """Seconds of each call, one after another for some time.

        The first call finds cold caches and sleeping threads; it is left out if there are others.
        """
        times: list[float] = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            self._call()
            times.append(time.perf_counter() - begin)
        return times[1:] or times

    def peak_memory(self) -> int:
        """Bytes at the peak of all calls so far, beyond the process with its imports and inputs.

        What loading needed for a while is not counted.
        """
        return memory.peak() - self._baseline

    def layers(self, seconds: float) -> list[list[float]]:
        """Seconds of each step, in one pass after another for some time.

        Raises CnnError (E0733) if the target cannot run single steps.
        """
        module = self._layered()
        passes: list[list[float]] = []
        end = time.perf_counter() + seconds
        while not passes or time.perf_counter() < end:
            passes.append(module.time_layers(self._arrays))
        return passes

    def machine_peak(self) -> Peak | None:
        """What the machine reaches, if its target can tell.

        The memory of this process means nothing afterwards.
        """
        return self._module.measure_peak() if isinstance(self._module, Gauged) else None

    def _layered(self) -> Layered:
        if not isinstance(self._module, Layered):
            raise CnnError.of(
                "E0733",
                "the times of single layers are not known of this target",
                hint="use --target cpu",
            )
        return self._module


def _call_of(module: Module, arrays: Mapping[str, Array]) -> Call:
    """A call of a module: on a device between its own buffers, which hold the arrays."""
    if isinstance(module, OnDevice):
        module.run(arrays)
        return lambda: module.run_on_device({})
    return lambda: module.run(arrays)
