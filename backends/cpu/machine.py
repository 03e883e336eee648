"""What a CPU can do, as far as kernels depend on it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from cnndsl.backends.cpu.cpus import (
    ARCHITECTURES,
    CACHES,
    CPUS,
    DEFAULT,
    Triple,
    host_architecture,
)
from cnndsl.backends.cpu.features import LLVM_NAMES, host_caches, host_features, host_model
from cnndsl.backends.cpu.load_tvm import load_tvm
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.runtime.library import available_cores
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import FLOAT32
from cnndsl.memory import require_known_sizes
from cnndsl.runtime.cache import Store
from cnndsl.runtime.module import require_formats

LEVELS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "avx512": (("avx512f", "avx512vl", "avx512bw", "avx512dq"), 16, 32),
    "avx2": (("avx2", "fma"), 8, 16),
    "sse": (("sse4.1",), 4, 16),
    "neon": (("neon",), 4, 32),
    "neon32": (("neon",), 4, 16),
    "rvv": (("v",), 4, 32),
    "simd128": (("simd128",), 4, 14),
    "rv": ((), 1, 32),
    "scalar": ((), 1, 16),
}
"""Vector extensions: the features that they need, floats in a vector, vector registers.

Of WebAssembly's two are taken off the 16 of x86: engines keep one, and a product needs another.
"""
AMX_TILE, AMX_INT8, AMX_BF16 = AMX = ("amx-tile", "amx-int8", "amx-bf16")
"""Features of Intel's AMX: tiles, and products of codes and of bfloat16.

Code that has no use for them runs without, and virtual machines may hide them.
"""
FORMATS = ("float32", "bfloat16", "uint8")
"""What numbers there are kernels for."""
OTHER_CORES = 4
"""Cores that share the work on a machine that is not this one, unless a number is given."""
SCHEDULED_AS = "sapphirerapids"
"""The CPU by whose latencies LLVM orders AVX-512 code, but for AMD's CPUs.

By those of Skylake and Ice Lake, which it takes for `x86-64-v4` too, it loads operands so early
that sums no longer fit the registers: in one of eight loops over products, up to twice as slow.
"""


@dataclass(frozen=True)
class Machine:
    """A target CPU: LLVM's name for it, the vector extension in use, cores that share the work.

    `features` are those of LLVM that the code may use and a CPU can lack. `triple` is LLVM's
    target triple, empty for this machine. `winograd` says whether kernels may use that algorithm.
    `caches` are the bytes of a core's first-level and second-level data cache, `issue` the
    multiply-adds of vectors that it begins in a cycle.
    """

    cpu: str
    extension: str
    features: tuple[str, ...]
    cores: int
    triple: str = ""
    winograd: bool = True
    caches: tuple[int, int] = CACHES
    issue: float = DEFAULT.issue

    @property
    def lanes(self) -> int:
        """Floats in a vector."""
        return LEVELS[self.extension][1]

    @property
    def registers(self) -> int:
        """Vector registers."""
        return LEVELS[self.extension][2]

    @property
    def weights_are_far(self) -> bool:
        """Whether weights may lie in the second-level cache while inputs pass by.

        They may where it gives a whole line of 64 bytes in a cycle, as in CPUs with vectors of that
        size.
        """
        return self.lanes * FLOAT32.bytes >= 64

    @property
    def multiplies_by_lane(self) -> bool:
        """Whether multiply-adds take a lane of a vector for one factor, as NEON's do."""
        return self.extension == "neon"

    @property
    def multiplies_bf16(self) -> bool:
        """Whether one instruction adds the products of two pairs of bfloat16 to a float32."""
        needed = {"avx512": "avx512bf16", "neon": "bf16"}.get(self.extension)
        return needed in self.features

    def multiplies_tiles(self, feature: str) -> bool:
        """Whether an instruction multiplies tiles, of codes or of bfloat16, by AMX's feature."""
        return self.extension == "avx512" and {AMX_TILE, feature} <= {*self.features}

    @property
    def is_amd(self) -> bool:
        """Whether it is one of AMD's CPUs since Zen, by LLVM's names."""
        return self.cpu.startswith("znver")

    def target(self) -> Any:
        """TVM's description of the machine."""
        settings: dict[str, Any] = {"kind": "llvm", "mcpu": self.cpu, "num-cores": self.cores}
        if self.triple:
            settings |= _triple_settings(Triple.of(self.triple))
        if self.extension == "avx512" and not self.is_amd:
            lacking = _llvm_features(SCHEDULED_AS) - _llvm_features(self.cpu)
            settings |= {"mcpu": SCHEDULED_AS, "mattr": [f"-{name}" for name in sorted(lacking)]}
        target = load_tvm().target.Target(settings)
        return target.with_host(target)


def find_machine(cpu: str = "native", triple: str = "") -> Machine:
    """The machine of an LLVM CPU name; `native` is this one.

    With a triple of another architecture, `native` stands for the CPUs of that architecture.
    LLVM's answer is kept in the cache. Raises CnnError: E0720 for a name that LLVM does not know,
    E0726 for an unknown triple.
    """
    target = Triple.of(triple) if triple else None
    is_host = target is None or (
        target.architecture == host_architecture() and not target.is_apple and cpu == "native"
    )
    if target and cpu == "native" and not is_host:
        cpu = target.facts.portable
    store = Store("machines")
    where = target.text if target else platform.machine()
    key = repr((cpu, where, host_model(), version("apache-tvm"), LLVM_NAMES, LEVELS))
    known = store.get(key) if host_model() else None
    if known is not None:
        name, extension, features = json.loads(known)
    else:
        name, extension, features = _ask_llvm(cpu, target)
        store.put(key, json.dumps([name, extension, features]).encode())
    is_this_cpu = is_host and cpu == "native"
    here = host_features() if is_this_cpu else None
    if here is not None:
        features = [each for each in features if each in here or each not in AMX]
    found = CPUS.get(name, DEFAULT)
    sizes = host_caches() if is_this_cpu else None
    caches = (sizes[0], sizes[1]) if sizes and len(sizes) > 1 else found.caches
    cores = OTHER_CORES if target and not is_host else available_cores()
    if target and target.is_wasm:
        cores = 1
    return Machine(
        name,
        extension,
        tuple(features),
        cores,
        target.text if target else "",
        caches=caches,
        issue=found.issue,
    )


def machine_for(graph: Graph, options: CpuOptions, machine: Machine | None = None) -> Machine:
    """The machine of some options, or the given one, if code for the graph can be made.

    Its cores are as many as the threads that are asked for. Raises CnnError: E0611 if a size is
    open, E0710 for numbers of other formats, E0720 for an unknown CPU, E0721 without TVM, E0726
    for an unknown triple.
    """
    require_tvm()
    require_known_sizes(graph)
    require_formats(graph, FORMATS)
    require_batch(graph, options)
    if machine is None:
        found = find_machine(options.mcpu, options.triple)
        machine = replace(found, cores=options.threads or found.cores)
    return replace(machine, winograd=options.winograd)


def require_batch(graph: Graph, options: CpuOptions) -> None:
    """Raise CnnError (E0630) for sums over a batch that is not known, or in a library."""
    if all(node.type.batched for node in graph.nodes()):
        return
    if options.batch is None:
        raise CnnError.of(
            "E0630", "native code sums up over a batch of known size", hint="--batch 32"
        )
    if options.emit == "library":
        raise CnnError.of("E0630", "a library for C has no gradients", hint="leave --emit out")


def require_tvm() -> None:
    """Raise CnnError (E0721) if TVM is not installed."""
    if find_spec("tvm") is None:
        hint = "pip install 'cnndsl[tvm]'; to run compiled modules it is not needed"
        raise CnnError.of("E0721", "TVM, which makes native code, is not installed", hint=hint)


def _ask_llvm(cpu: str, target: Triple | None) -> tuple[str, str, list[str]]:
    """The name of a CPU, its vector extension and its features."""
    codegen = load_tvm().target.codegen
    name = codegen.llvm_get_system_cpu() if cpu == "native" else cpu
    triple = target.llvm if target else codegen.llvm_get_system_triple()
    if not codegen.llvm_is_valid_cpu(name, triple) or _is_too_small(name, triple):
        examples = "native, x86-64-v3, x86-64-v4"
        if target and not target.is_wasm and target.architecture != "x86_64":
            examples = ", ".join(n for n in CPUS if codegen.llvm_is_valid_cpu(n, triple))
        raise CnnError.of("E0720", f"unknown CPU {cpu!r}", hint=f"for example: {examples}")
    settings = _triple_settings(target) if target else {}
    found = _llvm_features(name, **settings)
    own = ARCHITECTURES[target.architecture if target else host_architecture()].extensions
    extension = next(key for key in own if found.issuperset(LEVELS[key][0]))
    return name, extension, sorted(found & set(LLVM_NAMES.values()))


def _triple_settings(target: Triple) -> dict[str, Any]:
    """What TVM is told of a triple."""
    facts = target.facts
    settings: dict[str, Any] = {"mtriple": target.llvm, **dict(facts.settings)}
    if facts.features:
        settings["mattr"] = tuple(f"+{name}" for name in facts.features)
    return settings


def _is_too_small(cpu: str, triple: str) -> bool:
    """Whether it is a 32-bit CPU, for whose 64-bit features LLVM would end the process."""
    small = "i686-unknown-linux-gnu"
    return triple.startswith("x86_64") and "64bit" not in _llvm_features(cpu, mtriple=small)


@cache
def _llvm_features(cpu: str, **settings: Any) -> frozenset[str]:
    """What LLVM takes a CPU of that name for."""
    tvm = load_tvm()
    target = tvm.target.Target({"kind": "llvm", "mcpu": cpu, **settings})
    return frozenset(tvm.target.codegen.llvm_get_cpu_features(target))
