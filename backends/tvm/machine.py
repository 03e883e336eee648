"""What a CPU can do, as far as kernels depend on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.tvm.features import LLVM_NAMES
from cnndsl.diagnostics import CnnError

LEVELS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "avx512": (("avx512f", "avx512vl", "avx512bw", "avx512dq"), 16, 32),
    "avx2": (("avx2", "fma"), 8, 16),
    "neon": (("neon",), 4, 32),
    "scalar": ((), 1, 16),
}
"""Vector extensions, the widest first: the features that they need, floats in a vector, vector
registers."""


@dataclass(frozen=True)
class Machine:
    """A target CPU: LLVM's name for it, the vector extension in use, cores.

    `features` are those of LLVM that the code may use and a CPU can lack. `triple` is LLVM's
    target triple, empty for this machine. `winograd` says whether kernels may use that algorithm.
    """

    cpu: str
    extension: str
    features: tuple[str, ...]
    cores: int
    triple: str = ""
    winograd: bool = True

    @property
    def lanes(self) -> int:
        """Floats in a vector."""
        return LEVELS[self.extension][1]

    @property
    def registers(self) -> int:
        """Vector registers."""
        return LEVELS[self.extension][2]

    def target(self) -> Any:
        """TVM's description of the machine."""
        from tvm.target import Target

        settings: dict[str, Any] = {"kind": "llvm", "mcpu": self.cpu, "num-cores": self.cores}
        if self.triple:
            settings["mtriple"] = self.triple
        target = Target(settings)
        return target.with_host(target)


def find_machine(cpu: str = "native") -> Machine:
    """The machine of an LLVM CPU name; `native` is this one.

    Raises CnnError (E0720) for a name that LLVM does not know.
    """
    from tvm.target import Target, codegen

    name = codegen.llvm_get_system_cpu() if cpu == "native" else cpu
    triple = codegen.llvm_get_system_triple()
    if not codegen.llvm_is_valid_cpu(name, triple):
        raise CnnError.of(
            "E0720", f"unknown CPU {cpu!r}", hint="for example: native, x86-64-v3, x86-64-v4"
        )
    found = set(codegen.llvm_get_cpu_features(Target({"kind": "llvm", "mcpu": name})))
    extension = next(key for key, (needed, _, _) in LEVELS.items() if found.issuperset(needed))
    features = tuple(sorted(found & set(LLVM_NAMES.values())))
    return Machine(name, extension, features, os.cpu_count() or 1)
