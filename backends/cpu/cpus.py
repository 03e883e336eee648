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


# Multiply-adds of vectors of 128 bits a cycle. Measured: [F] H. Ogasawara, VFP Benchmark,
# wlog.flatlib.jp/2014/2/14, by which it is a quarter of "fma" or "mad"; [I] results of
# github.com/ocxtal/insn_bench_aarch64, row "fmla.s (vec)". Modelled: [L] LLVM, *Sched*.td.
CPUS: dict[str, Cpu] = {
    # [F] 2 operations of 32 bits a cycle. Raspberry Pi 2: 512 KiB.
    "cortex-a7": Cpu(0.25, 32 * KIB, 512 * KIB, 4),
    # [F] 4 operations of 32 bits a cycle.
    "cortex-a9": Cpu(0.5, 32 * KIB, 512 * KIB, 2),
    # [F] 8 operations of 32 bits a cycle.
    "cortex-a15": Cpu(1, 32 * KIB, 2 * MIB, 4),
    # [I] 0.99 on Raspberry Pi 3, which has 512 KiB.
    "cortex-a53": Cpu(1, 32 * KIB, 512 * KIB, 4),
    # [L] A55: a product of 128 bits takes both units of 64 bits.
    "cortex-a55": Cpu(1, 32 * KIB, 256 * KIB),
    # [I] 1.00; [L] A57, which stands for it: a product of 128 bits takes both pipelines.
    "cortex-a72": Cpu(1, 32 * KIB, 1 * MIB, 4),
    # Arm Cortex-A76 Software Optimization Guide: pipelines V0 and V1, as Neoverse N1.
    "cortex-a76": Cpu(2, 64 * KIB, 512 * KIB),
    # [I] 2.00 on AWS Graviton 2, which has 1 MiB; [L] NeoverseN1: V0 and V1.
    "neoverse-n1": Cpu(2, 64 * KIB, 1 * MIB),
    # [I] 3.19 on AWS Graviton 3, which has 1 MiB; [L] NeoverseV1: V0 to V3.
    "neoverse-v1": Cpu(4, 64 * KIB, 1 * MIB),
    # [I] 4.00. `sysctl hw.perflevel0` of a performance core: 128 KiB, and 12 MiB for four cores.
    "apple-m1": Cpu(4, 128 * KIB, 12 * MIB, 4),
    # H. Oakley, eclecticlight.co, Making the most of Apple silicon power 2 (2022): four units of
    # vectors in performance cores of M1 and M2. Assumed: the size of the second cache.
    "apple-m2": Cpu(4, 128 * KIB, 16 * MIB, 4),
    # Assumed: as the M2. H. Oakley, Evaluating the M3 Pro (2023), has its vectors no slower than
    # the M1's by the clock; six cores of an M3 Pro share the cache.
    "apple-m3": Cpu(4, 128 * KIB, 16 * MIB, 4),
    # soohamurai.com, Measuring Cache Hierarchy on Apple M4 (2026): 128 KiB, 16 MiB in common.
    # Assumed: four units, by which others count its peak; LLVM has the model of an older core.
    "apple-m4": Cpu(4, 128 * KIB, 16 * MIB, 4),
    # SiFive U74 Core Complex Manual: 32 KiB, one FPU; [L] SiFive7: products in pipeline B alone.
    # VisionFive 2: 2 MiB for four cores.
    "sifive-u74": Cpu(1, 32 * KIB, 2 * MIB, 4),
    # WikiChip, "SiFive Intelligence X280": units of 256 bits, registers of 512, a private second
    # cache, whose size is the chip's maker's choice.
    "sifive-x280": Cpu(2, 32 * KIB, 256 * KIB),
    # SpacemiT K1 data sheet: 32 KiB, 512 KiB for four cores; [L] SpacemitX60: one unit of 128 bits.
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
