"""TVM's runtime: loading a library and calling it. The compiler is not needed here."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.runtime.module import Array

ENTRY = "run"
"""The name of a library's one function."""
ALL = 2**31 - 1
FLAG_DISTANCE = 16
"""Whole numbers of 32 bits from one core's flag to the next: each has a cache line of its own."""
POOL_SIZE = "TVM_NUM_THREADS"
"""TVM reads this variable when it makes workers; without it, it takes half of an x86's cores."""


@cache
def start_runtime() -> Any:
    """The module tvm_ffi, with the functions of TVM's runtime loaded but not its compiler."""
    import tvm_ffi

    os.environ.setdefault(POOL_SIZE, str(available_cores()))
    found = importlib.util.find_spec("tvm")
    assert found is not None
    assert found.origin is not None
    library = next(Path(found.origin).parent.rglob("libtvm_runtime.so"))
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    return tvm_ffi


class Library:
    """A compiled program in memory. Calls from several threads may overlap.

    Each calling thread has workers of its own; `threads` counts it and them, None takes all
    cores.
    """

    def __init__(self, path: Path, threads: int | None):
        runtime = start_runtime()
        self._module = runtime.load_module(str(path))
        self._run = self._module[ENTRY]
        self._configure = runtime.get_global_func("runtime.config_threadpool")
        self._count = runtime.get_global_func("runtime.NumThreads")
        self._threads = threads or available_cores()
        self._local = threading.local()

    def run(self, arrays: Sequence[Array], first: int = 0, last: int = ALL) -> None:
        """Run on the arena, the weights, the inputs and the outputs.

        Only the steps from `first` up to, not including, `last` are run.
        """
        cores, flags = self._team()
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (*arrays, flags))
        self._run(*pointers, cores, first, last)

    def _team(self) -> tuple[int, Array]:
        """How many cores run this thread's calls, and the flags by which they meet.

        The workers are shared with all libraries, which may ask for other numbers. A number that is
        not that of the workers would let a program wait for ever.
        """
        team: tuple[int, Array] | None = getattr(self._local, "team", None)
        if team is None or team[0] != int(self._count()):
            self._configure(1, self._threads)
            cores = int(self._count())
            team = self._local.team = (cores, np.zeros(cores * FLAG_DISTANCE, np.int32))
        return team


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
