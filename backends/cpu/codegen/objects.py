"""Libraries of functions, whose object files come from the cache or from a compiler."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnndsl import __version__, ir
from cnndsl.backends.cpu.codegen.compilers import compiler_for
from cnndsl.backends.cpu.codegen.toolchain import c_object, link, object_code
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.runtime.library import available_cores
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.cache import Store
from cnndsl.runtime.options import Progress, silent

SOURCES = {".py", ".c", ".h"}
ROOM = 1 << 23
"""Bytes that there has to be room for: LLVM ends the process where it cannot write an object."""


@dataclass(frozen=True)
class Unit:
    """Functions to be compiled together: in TensorIR, or a text in C.

    What `write` returns follows from `key` and name alone; kernels are in TensorIR.
    """

    symbol: str
    key: str
    write: Callable[[], Sequence[Any] | str]
    is_kernel: bool = True


def make_library(
    units: Sequence[Unit], machine: Machine, progress: Progress = silent
) -> tuple[bytes, dict[str, bytes], int]:
    """The shared library of some units, their object files by symbol, and how many were cached.

    Raises CnnError: E0721 without TVM or a C compiler, E0602 without room for temporary files.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            library = Path(folder) / "library.so"
            library.write_bytes(bytes(ROOM))
            objects, hits = make_objects(units, machine, Path(folder), progress)
            link(objects, library, machine)
            code = {path.stem: path.read_bytes() for path in objects}
            return library.read_bytes(), code, hits
    except OSError as error:
        raise CnnError.of(
            "E0602",
            f"cannot write object code in {tempfile.gettempdir()}: {error.strerror or error}",
            hint="TMPDIR can name another folder",
        ) from None


def make_objects(
    units: Sequence[Unit], machine: Machine, folder: Path, progress: Progress = silent
) -> tuple[list[Path], int]:
    """The object files of some units, and how many of them came from the cache.

    The others are compiled on all cores, and enter the cache one by one.
    """
    store = Store("objects")
    paths = [folder / f"{unit.symbol}.o" for unit in units]
    missing = []
    for unit, path in zip(units, paths, strict=True):
        content = store.get(_key(unit, machine))
        if content is None:
            missing.append((unit, path))
        else:
            path.write_bytes(content)
    hits = len(units) - len(missing)
    progress("compiling", hits, len(units))
    with ThreadPoolExecutor(available_cores()) as pool:
        jobs = [pool.submit(_compile, unit, machine, path, store) for unit, path in missing]
        try:
            for done, job in enumerate(as_completed(jobs), hits + 1):
                job.result()
                progress("compiling", done, len(units))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if missing:
        store.trim()
    return paths, hits


def _compile(unit: Unit, machine: Machine, path: Path, store: Store) -> None:
    written = unit.write()
    if isinstance(written, str):
        c_object(written, path, machine)
    else:
        object_code(written, machine, path)
    store.put(_key(unit, machine), path.read_bytes())


def _key(unit: Unit, machine: Machine) -> str:
    """All that the object code of a unit follows from; what is in C serves a whole triple."""
    if unit.is_kernel:
        return repr((unit.symbol, unit.key, machine, *compiler()))
    cc = compiler_for(machine.triple).key
    return repr((unit.symbol, unit.key, machine.triple, *compiler(), *cc))


@cache
def compiler() -> tuple[str, ...]:
    """Versions of what makes object code, down to the sources of backend and operators."""
    sources = hashlib.sha256()
    own = Path(__file__).parents[1]
    for folder in (own.parent / "native", own, Path(ir.__path__[0])):
        for path in sorted(folder.rglob("*.*")):
            if path.suffix not in SOURCES:
                continue
            content = path.read_bytes()
            sources.update(f"{path.relative_to(folder)}:{len(content)}:".encode() + content)
    return (__version__, version("apache-tvm"), sources.hexdigest())
