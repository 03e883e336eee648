"""AMX on CPUs that have none: its instructions are calls of `amx.c`, which does what they do."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import pytest

from cnndsl.backends.cpu import module as modules
from cnndsl.backends.cpu.codegen import amx
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME
from cnndsl.backends.cpu.machine import AMX, Machine
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.program import functions
from cnndsl.backends.cpu.runtime import library
from tests.cpu.support import Unoptimised, machine

EMULATOR = Path(__file__).with_suffix(".c")


def emulate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let kernels call the emulator, which becomes a part of the runtime.

    With a cache in the folder: keys do not tell what is patched.
    """
    patch.setenv("CNNDSL_CACHE", str(folder / "cache"))
    runtime = folder / RUNTIME.name
    runtime.write_text(RUNTIME.read_text() + EMULATOR.read_text())
    patch.setattr(functions, "RUNTIME", runtime)
    patch.setattr(amx, "function", _called)
    patch.setattr(modules, "missing_features", lambda _: [])
    patch.setattr(library, "_require_permission", lambda *_: None)


def emulated(cores: int = 2, features: Sequence[str] = AMX) -> Machine:
    """This CPU with the emulator's instructions, and vectors that LLVM splits."""
    own = machine("avx512")
    given = {**vars(own), "features": (*own.features, *features), "cores": cores}
    return Unoptimised(**given)


def count(module: CpuModule, name: str) -> int:
    """A number of the emulator: threads with tiles in use (`held`), or `products` so far."""
    loaded = module._library._handle.library
    return ctypes.c_int.in_dll(loaded, f"emulated_{name}").value


def _called(intrinsic: str, tiles: Sequence[int], kinds: Sequence[str]) -> tuple[str, str]:
    """As `amx.function`, of a function that calls the emulator's."""
    name = "_".join(map(str, ("cnndsl", intrinsic, *tiles)))
    declared = ", ".join([*["i32"] * len(tiles), *kinds])
    parameters = [f"{kind} %p{index}" for index, kind in enumerate(kinds)]
    given = ", ".join([*(f"i32 {tile}" for tile in tiles), *parameters])
    return name, (
        f"declare i32 @emulated_{intrinsic}({declared})\n"
        f"define internal i32 @{name}({', '.join(parameters)}) alwaysinline {{\n"
        f"  %done = call i32 @emulated_{intrinsic}({given})\n"
        f"  ret i32 %done\n}}\n"
    )
