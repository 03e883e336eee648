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

from cnndsl.runtime.module import Array

ENTRY = "run"
"""The name of a library's one function."""
ALL = 2**31 - 1
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
        self._threads = threads or available_cores()
        self._local = threading.local()

    def run(self, arrays: Sequence[Array], first: int = 0, last: int = ALL) -> None:
        """Run on the arena, the weights, the inputs and the outputs.

        Only the steps from `first` up to, not including, `last` are run.
        """
        if getattr(self._local, "threads", 0) != self._threads:
            self._configure(1, self._threads)
            self._local.threads = self._threads
        self._run(*(ctypes.c_void_p(array.ctypes.data) for array in arrays), first, last)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
