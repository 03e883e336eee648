"""What is known of CPUs that code is made for on another machine.

A target triple names the architecture, the operating system and the C library.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from cnndsl.diagnostics import CnnError

KIB, MIB = 1024, 1024 * 1024
CACHES = (32 * KIB, 512 * KIB)
"""Bytes of a core's first-level and second-level data cache, where they are not known."""


@dataclass(frozen=True)
class Cpu:
    """A core: multiply-adds of vectors that it begins in a cycle, bytes of its data caches.

    Of a second-level cache that `sharing` cores have in common, each counts its part.
    """

    issue: float
    first: int = CACHES[0]
    second: int = CACHES[1]
    sharing: int = 1

    @property
    def caches(self) -> tuple[int, int]:
        """Of one core."""
        return self.first, self.second // self.sharing


CPUS: dict[str, Cpu] = {
    # Arm Cortex-A7 MPCore TRM (DDI 0464): the NEON unit has 64 bits. Raspberry Pi 2: 512 KiB.
    "cortex-a7": Cpu(0.25, 32 * KIB, 512 * KIB, 4),
    # Arm Cortex-A9 NEON MPE TRM (DDI 0409), 3.4: a quadword product every other cycle.
    "cortex-a9": Cpu(0.5, 32 * KIB, 512 * KIB, 2),
    # Arm Cortex-A15 TRM (DDI 0438); LLVM, ARMScheduleA57: a quadword product a cycle.
    "cortex-a15": Cpu(1, 32 * KIB, 2 * MIB, 4),
    # Arm Cortex-A53 TRM (DDI 0500); LLVM, AArch64SchedA53: two units of 64 bits. Raspberry Pi 3.
    "cortex-a53": Cpu(1, 32 * KIB, 512 * KIB, 4),
    # Arm Cortex-A55 Software Optimization Guide, 3.13: two units of 64 bits.
    "cortex-a55": Cpu(1, 32 * KIB, 256 * KIB),
    # Arm Cortex-A72 Software Optimization Guide (UAN 0016), 3.13: Q forms a cycle. Raspberry Pi 4.
    "cortex-a72": Cpu(1, 32 * KIB, 1 * MIB, 4),
    # Arm Cortex-A76 Software Optimization Guide, 3.14: pipelines V0 and V1. Raspberry Pi 5.
    "cortex-a76": Cpu(2, 64 * KIB, 512 * KIB),
    # Arm Neoverse N1 Software Optimization Guide, 3.14: V0 and V1. AWS Graviton 2: 1 MiB.
    "neoverse-n1": Cpu(2, 64 * KIB, 1 * MIB),
    # Arm Neoverse V1 Software Optimization Guide, 3.14: V0 to V3 for ASIMD. AWS Graviton 3: 1 MiB.
    "neoverse-v1": Cpu(4, 64 * KIB, 1 * MIB),
    # Apple Silicon CPU Optimization Guide; D. Johnson, "Firestorm": four units of 128 bits.
    # `sysctl hw.perflevel0`: 128 KiB, and 12 or 16 MiB for four cores.
    "apple-m1": Cpu(4, 128 * KIB, 12 * MIB, 4),
    "apple-m2": Cpu(4, 128 * KIB, 16 * MIB, 4),
    "apple-m3": Cpu(4, 128 * KIB, 16 * MIB, 4),
    "apple-m4": Cpu(4, 128 * KIB, 16 * MIB, 4),
    # SiFive U74 Core Complex Manual: one FPU; 2 MiB for four cores (VisionFive 2).
    "sifive-u74": Cpu(1, 32 * KIB, 2 * MIB, 4),
    # SiFive Intelligence X280: a datapath of 256 bits, registers of 512.
    "sifive-x280": Cpu(2, 32 * KIB, 256 * KIB),
    # SpacemiT K1 data sheet: registers of 256 bits; 512 KiB for a cluster of four.
    "spacemit-x60": Cpu(1, 32 * KIB, 512 * KIB, 4),
}
"""By LLVM's name. A CPU that is not here counts as one with two units and CACHES."""
DEFAULT = Cpu(2)


@dataclass(frozen=True)
class Architecture:
    """What LLVM is told of an architecture.

    `portable` is the CPU that all of them stand for; `features` are added to those of the CPU.
    `extensions` are the vector extensions that kernels are written for, the widest first.
    """

    portable: str
    extensions: tuple[str, ...]
    features: tuple[str, ...] = ()
    settings: tuple[tuple[str, str | int], ...] = ()


ARCHITECTURES: dict[str, Architecture] = {
    "aarch64": Architecture("generic", ("neon",)),
    "arm": Architecture("cortex-a7", ("neon32",), ("neon", "vfp4"), (("mfloat-abi", "hard"),)),
    "riscv64": Architecture(
        "generic-rv64", ("rvv", "rv"), ("m", "a", "f", "d", "c"), (("mabi", "lp64d"),)
    ),
    "wasm32": Architecture("generic", ("simd128",), ("simd128",), (("vector-width", 128),)),
    "x86_64": Architecture("x86-64-v2", ("avx512", "avx2", "sse", "scalar")),
}
ALIASES = {"arm64": "aarch64", "amd64": "x86_64", "armv7": "arm", "armv7a": "arm", "armv7l": "arm"}
SYSTEMS = ("linux", "darwin", "macos", "macosx", "ios", "unknown")


@dataclass(frozen=True)
class Triple:
    """A target, as users write it: `aarch64-linux-gnu`, `arm64-apple-macos`, `wasm32`."""

    text: str
    architecture: str

    @classmethod
    def of(cls, text: str) -> Triple:
        """A triple that code can be made for. Raises CnnError (E0726)."""
        first, *rest = text.split("-")
        architecture = ALIASES.get(first, first)
        is_wasm = architecture == "wasm32"
        known = is_wasm or any(part.startswith(SYSTEMS) for part in rest)
        if architecture not in ARCHITECTURES or not known:
            raise CnnError.of(
                "E0726",
                f"no code is made for {text!r}",
                hint="for example: aarch64-linux-gnu, arm-linux-gnueabihf, riscv64-linux-gnu, "
                "x86_64-linux-gnu, arm64-apple-macos",
            )
        return cls("wasm32" if is_wasm else text, architecture)

    @property
    def facts(self) -> Architecture:
        """Of its architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def is_apple(self) -> bool:
        """Whether its files are those of Apple's systems."""
        return any(part.startswith(("darwin", "macos", "ios")) for part in self.text.split("-"))

    @property
    def is_wasm(self) -> bool:
        """Whether it is WebAssembly."""
        return self.architecture == "wasm32"

    @property
    def llvm(self) -> str:
        """As LLVM writes it."""
        if self.is_wasm:
            return "wasm32-unknown-unknown"
        rest = self.text.partition("-")[2]
        return f"{'armv7a' if self.architecture == 'arm' else self.architecture}-{rest}"


def host_architecture() -> str:
    """That of this machine."""
    name = platform.machine().lower()
    return ALIASES.get(name, name)
