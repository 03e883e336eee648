"""What code is made for: a GPU architecture, and a precision to compute in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import FLOAT16, FLOAT32, DType

VECTOR = 16
"""Bytes of a vector: what a thread reads, writes or copies at a time."""


@dataclass(frozen=True)
class Precision:
    """How numbers are stored between kernels, and how multiplied.

    By name: `f16` multiplies halves and `tf32` floats rounded to it, both on tensor cores. Sums
    are always float32.
    """

    name: str
    dtype: DType

    @property
    def block(self) -> int:
        """Channels in a vector."""
        return VECTOR // self.dtype.bytes


TYPES = {FLOAT32: "float", FLOAT16: "Half"}
"""Number formats in the CUDA text."""

PRECISIONS = {
    "f32": Precision("f32", FLOAT32),
    "tf32": Precision("tf32", FLOAT32),
    "f16": Precision("f16", FLOAT16),
}


@dataclass(frozen=True)
class Arch:
    """An architecture by nvcc's name.

    `processors` are the multiprocessors of its best-known large chip, `shared` the bytes of shared
    memory that a block can have, `clusters` says whether blocks form these, `warpgroups` whether
    these multiply by `wgmma`, which only code for the architecture with an `a` at its end does.

    Source: CUDA C++ programming guide, tables of compute capabilities; white papers of the chips.
    """

    name: str
    processors: int
    shared: int
    clusters: bool
    warpgroups: bool = False

    @property
    def specific(self) -> str:
        """The name for code that uses instructions of no other generation."""
        return f"{self.name}a"


ARCHS = {
    arch.name: arch
    for arch in (
        Arch("sm_80", 108, 163 * 1024, False),
        Arch("sm_86", 84, 99 * 1024, False),
        Arch("sm_87", 16, 163 * 1024, False),
        Arch("sm_89", 142, 99 * 1024, False),
        Arch("sm_90", 132, 227 * 1024, True, warpgroups=True),
        Arch("sm_100", 148, 227 * 1024, True),
        Arch("sm_103", 160, 227 * 1024, True),
        Arch("sm_120", 188, 99 * 1024, True),
        Arch("sm_121", 48, 99 * 1024, True),
    )
}


@dataclass(frozen=True)
class Machine:
    """An architecture and a precision."""

    arch: Arch
    precision: Precision


def find_machine(arch: str, precision: str) -> Machine:
    """The machine of two names. Raises CnnError (E0740) for a name that there is not."""
    if arch not in ARCHS:
        known = f"architectures: {', '.join(ARCHS)}"
        older = re.fullmatch(r"sm_[1-7]\d", arch)
        problem = "is too old: kernels copy asynchronously" if older else "is not known"
        raise CnnError.of("E0740", f"the GPU architecture {arch!r} {problem}", hint=known)
    if precision not in PRECISIONS:
        known = f"precisions: {', '.join(PRECISIONS)}"
        raise CnnError.of("E0740", f"unknown precision {precision!r}", hint=known)
    return Machine(ARCHS[arch], PRECISIONS[precision])


def runs_on(arch: str, capability: tuple[int, int]) -> bool:
    """Whether code for an architecture runs on a GPU: same generation, at least that version."""
    number = int(arch.removeprefix("sm_"))
    return number // 10 == capability[0] and number % 10 <= capability[1]


def require_arch(arch: str, capability: tuple[int, int]) -> None:
    """Raise CnnError (E0743) unless code for an architecture runs on a GPU."""
    if not runs_on(arch, capability):
        here = f"sm_{capability[0]}{capability[1]}"
        raise CnnError.of(
            "E0743",
            f"the module is made for {arch}, but the GPU is {here}",
            hint=f"compile it with --arch {here}",
        )
