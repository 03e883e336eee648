"""What this CPU can do, told by the operating system."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

from cnndsl.backends.cpu.cpus import Triple, host_architecture

CPU_INFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_MODEL = re.compile("vendor_id|cpu family|model|stepping|flags|CPU |Features")

LLVM_NAMES = {
    "asimd": "neon", "neon": "neon", "sse4_1": "sse4.1", "bmi1": "bmi", "bmi2": "bmi2",
    "abm": "lzcnt", "avx": "avx", "avx2": "avx2", "f16c": "f16c", "fma": "fma", "movbe": "movbe",
    "popcnt": "popcnt", "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd",
    "avx512dq": "avx512dq", "avx512vl": "avx512vl", "avx512_vnni": "avx512vnni",
    "avx512_vbmi2": "avx512vbmi2", "avx512vbmi": "avx512vbmi", "avx512ifma": "avx512ifma",
    "avx512_bf16": "avx512bf16", "avx512_bitalg": "avx512bitalg",
    "avx512_vpopcntdq": "avx512vpopcntdq", "gfni": "gfni", "vaes": "vaes",
    "vpclmulqdq": "vpclmulqdq", "avx_vnni": "avxvnni", "sve": "sve", "asimddp": "dotprod",
    "bf16": "bf16", "amx_tile": "amx-tile", "amx_int8": "amx-int8", "amx_bf16": "amx-bf16",
}  # fmt: skip
"""Features that generated code can use: Linux's name and LLVM's."""


@cache
def host_features() -> frozenset[str] | None:
    """The features of this CPU by LLVM's names; None where the system does not tell."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpu_info(), re.MULTILINE)
    if found is None:
        return None
    return frozenset(LLVM_NAMES[flag] for flag in found[1].split() if flag in LLVM_NAMES)


def host_model() -> str:
    """What the system tells of this CPU's model and features; empty where it does not tell."""
    lines = _cpu_info().partition("\n\n")[0].splitlines()
    return "\n".join(line for line in lines if _MODEL.match(line))


def host_caches() -> tuple[int, ...] | None:
    """Bytes of the data caches of a core, the first level first; None where they are not told."""
    sizes: dict[int, int] = {}
    try:
        for folder in CACHES.glob("index*"):
            level, kind, size = (
                (folder / name).read_text().strip() for name in ("level", "type", "size")
            )
            if kind != "Instruction":
                sizes[int(level)] = int(size.removesuffix("K")) * 1024
    except (OSError, ValueError):
        return None
    return tuple(sizes[level] for level in sorted(sizes)) or None


def _cpu_info() -> str:
    try:
        return CPU_INFO.read_text()
    except OSError:
        return ""


def missing_features(needed: Collection[str]) -> list[str]:
    """Those of some features that this CPU lacks, as far as it is known."""
    known = host_features()
    return [] if known is None else sorted(set(needed) - known)


def runs_here(triple: str) -> bool:
    """Whether this machine is of the kind that a triple names."""
    target = Triple.of(triple)
    return target.architecture == host_architecture() and not target.is_apple
