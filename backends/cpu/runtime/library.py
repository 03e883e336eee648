"""Libraries of compiled programs in this process: loading, calling and unloading them.

A library holds the program, what it says of itself, and the runtime (`runtime.c`). The workers of
the first library in memory serve all others. Nothing but numpy is needed here.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.backends.native.packing import aligned
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.module import Array

ABI = 1
"""CNNDSL_ABI of `runtime.h`."""


class _Program(ctypes.Structure):
    """`struct cnndsl_program` of `runtime.h`."""

    _fields_ = (
        ("abi", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("regions", ctypes.c_int32),
        ("steps", ctypes.c_int32),
        ("sizes", ctypes.POINTER(ctypes.c_int64)),
        ("features", ctypes.c_char_p),
        ("step", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Facts:
    """What a library says of its program; sizes are in floats, those of a whole batch."""

    arena: int
    weights: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: int
    features: tuple[str, ...]


class Library:
    """A compiled program in memory. Calls from several threads may overlap.

    Each runs on at most `threads` of the cores that all calls of the process share; None takes all.
    Raises ValueError if the content is no such library, CnnError if it cannot be loaded (E0725) or
    the system does not permit what its code uses (E0727).
    """

    def __init__(self, content: bytes, threads: int | None):
        self._handle = _Handle(content)
        self._program = _Program.in_dll(self._handle.library, "cnndsl_program")
        if self._program.abi != ABI:
            raise ValueError(f"its code is for version {self._program.abi} of the runtime")
        _require_permission(self._handle.library, self._program)
        with LOCK:
            pool = _POOLS.get(ABI)
            if pool is None:
                pool = _POOLS[ABI] = _Pool(self._handle)
        self._pool = pool
        self._threads = threads or 0
        self._sizes = self._program.sizes[: self._program.regions]
        self._own: tuple[Array, ...] = ()

    def at(self, sizes: Sequence[int], numbers: Sequence[int], tables: Sequence[float]) -> Library:
        """A library of open sizes at known ones: its regions' floats, and what steps are given.

        Raises ValueError if it is of known sizes.
        """
        own = np.array(numbers, np.int64), aligned(len(tables) + 1)
        own[1][:-1] = tables
        found = copy(self)
        found._own, found._sizes = own, [*sizes, *(array.size for array in own)]
        if self._sizes[0] or len(found._sizes) != len(self._sizes):
            raise ValueError("its sizes are known, or not so many")
        return found

    @property
    def facts(self) -> Facts:
        """What the library says of itself."""
        arena, weights, *ports = self._sizes[: len(self._sizes) - len(self._own)]
        inputs = self._program.inputs
        features = tuple(filter(None, self._program.features.decode().split(",")))
        steps = self._program.steps
        return Facts(arena, weights, tuple(ports[:inputs]), tuple(ports[inputs:]), steps, features)

    def run(self, arrays: Sequence[Array], first: int = 0, last: int | None = None) -> None:
        """Run on the arena, the weights, the inputs and the outputs, all dense float32.

        Only the steps from `first` up to, not including, `last` are run. Raises ValueError for
        arrays of other sizes than the program's.
        """
        arrays = (*arrays, *self._own)
        if [array.size for array in arrays] != self._sizes:
            raise ValueError("the arrays are not those that the program takes")
        pointers = (ctypes.c_void_p * len(arrays))(*map(_address, arrays))
        last = self._program.steps if last is None else last
        self._pool.run(ctypes.byref(self._program), pointers, self._threads, first, last)


def _address(array: Array) -> int:
    """Where its numbers begin; what numpy says of it takes three times as long."""
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    return int(array.ctypes.data)


class _Handle:
    """A library in memory, until nothing refers to it any more."""

    def __init__(self, content: bytes):
        self.library = _open(content)
        close = weakref.finalize(self, _DLCLOSE, self.library._handle)
        close.atexit = False


class _Pool:
    """The runtime of the library that was the first in memory; it stays as long as this does."""

    def __init__(self, handle: _Handle):
        self.run = handle.library.cnndsl_run
        self.run.argtypes = (*[ctypes.c_void_p] * 2, *[ctypes.c_int32] * 3)
        self.run.restype = None
        stop = weakref.finalize(self, _stop, handle)
        stop.atexit = False


_DLCLOSE: Any = ctypes.CDLL(None).dlclose
_DLCLOSE.argtypes = (ctypes.c_void_p,)
_POOLS: weakref.WeakValueDictionary[int, _Pool] = weakref.WeakValueDictionary()
"""By version of the interface."""
LOCK = threading.RLock()
"""Held while code is loaded. A fork waits for it, so no child inherits it held."""
_NUMBERS = count()
os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)


def _require_permission(library: ctypes.CDLL, program: _Program) -> None:
    """Ask the system for the tiles of AMX, if the code uses them. Raises CnnError (E0727)."""
    if b"amx-tile" not in program.features:
        return
    failed = library.cnndsl_permit(ctypes.byref(program))
    if failed:
        raise CnnError.of(
            "E0727",
            f"the operating system does not permit AMX, which the module uses: "
            f"{os.strerror(failed)}",
            hint="compile it with --mcpu icelake-server, which has no AMX; Linux permits it from "
            "version 5.16 on, unless a sandbox forbids arch_prctl",
        )


def _stop(handle: _Handle) -> None:
    handle.library.cnndsl_stop()


def _open(content: bytes) -> ctypes.CDLL:
    """Load a library from memory, or where the system cannot, from a temporary file."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return _open_memory(content)
    try:
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            path = Path(folder) / "library.so"
            path.write_bytes(content)
            return ctypes.CDLL(str(path))
    except OSError as error:
        raise CnnError.of(
            "E0725",
            f"cannot load native code by way of {tempfile.gettempdir()}: {error}",
            hint="let TMPDIR name a folder that is not full and whose files may be executed",
        ) from None


def _open_memory(content: bytes) -> ctypes.CDLL:
    """Load a library that has no name in the file system.

    The system's loader takes two files of one name for one, and numbers of files are used again:
    so a number that is not, in binary, is written into the path as `//` and `/.`.
    """
    file = os.memfd_create("cnndsl")
    try:
        with open(file, "wb", closefd=False) as stream:
            stream.write(content)
        unique = f"{next(_NUMBERS):b}".replace("1", "/.").replace("0", "//")
        return ctypes.CDLL(f"/proc/self/fd{unique}/{file}")
    finally:
        os.close(file)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
