"""From CUDA text to device code: nvcc translates to PTX, ptxas to a cubin. No GPU is needed."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cnndsl.diagnostics import CnnError

INSTALL = (
    "pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-crt nvidia-nvvm, or "
    "apt install nvidia-cuda-toolkit; PATH or CUDA_HOME says where it is"
)
COMPILER = ("nvcc", "ptxas")
FLAGS = ("-ptx", "-std=c++17")
ENTRY = re.compile(r"^\.visible \.entry (\w+)\(.*?^\}\n", re.MULTILINE | re.DOTALL)
"""A kernel in PTX; what stands outside of all is shared by them."""
PRODUCT = re.compile(r"\b(?:mma\.sync|wgmma\.mma_async)\b")
"""The PTX instructions of a product on tensor cores."""
SERIALISED = "wgmma.mma_async instructions are serialized"
"""What ptxas says (C7510 and others) when it makes each wgmma wait for the one before."""
COMPAT = 0x70000086
"""The type of a cubin's section .nv.compat."""
ACCELERATORS = 0x800, 9
"""What marks code for an architecture with an `a`: a bit of the flags, an attribute of COMPAT."""


@dataclass(frozen=True)
class Resources:
    """What a kernel needs of a multiprocessor.

    `registers` of a thread, bytes of `spills` that move between registers and memory for lack of
    registers, `products`: instructions for tensor cores, `serialised`: whether they wait for one
    another although they need not.
    """

    registers: int
    spills: int
    products: int
    serialised: bool = False


def versions() -> str | None:
    """What nvcc and ptxas say of themselves; None if one of them is missing."""
    tools = [find_tool(name) for name in COMPILER]
    return "\n".join(_version(str(tool)) for tool in tools) if all(tools) else None


@cache
def _version(tool: str) -> str:
    return _run(Path(tool), ["--version"]).strip()


def require_compiler() -> None:
    """Raise CnnError (E0741) if there is no nvcc or no ptxas."""
    for name in COMPILER:
        _tool(name)


def to_ptx(text: str, arch: str) -> dict[str, str]:
    """The PTX of each kernel of a CUDA text by name. Raises CnnError (E0741) if nvcc fails."""
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        source, ptx = Path(folder) / "kernels.cu", Path(folder) / "kernels.ptx"
        source.write_text(text)
        virtual = arch.replace("sm_", "compute_")
        _run(_tool("nvcc"), [*FLAGS, f"-arch={virtual}", "-o", str(ptx), str(source)])
        whole = ptx.read_text()
        shared = ENTRY.sub("", whole)
        return {entry[1]: shared + entry[0] for entry in ENTRY.finditer(whole)}


def assemble(name: str, ptx: str, arch: str) -> tuple[bytes, Resources]:
    """The cubin of a kernel for an architecture, and what it needs.

    Raises CnnError (E0741) if ptxas fails, or if the cubin is for another architecture.
    """
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        source, target = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        options = ["-v", f"-arch={arch}", "-o", str(target), str(source)]
        log = _run(_tool("ptxas"), options, errors=True)
        cubin = target.read_bytes()
    if (made := cubin_arch(cubin)) != arch:
        raise CnnError.of("E0741", f"ptxas made code for {made}, not for {arch}", hint=INSTALL)
    registers = re.search(r"Used (\d+) registers", log)
    spills = sum(map(int, re.findall(r"(\d+) bytes spill", log)))
    products = len(PRODUCT.findall(ptx))
    return cubin, Resources(
        int(registers[1]) if registers else 0, spills, products, SERIALISED in log
    )


def cubin_arch(cubin: bytes) -> str | None:
    """The architecture that device code is for, by its ELF header; None if it is no such code.

    From ABI version 8 on (CUDA 13) the number stands in the second byte of the flags and the `a`
    in a section, before in the first byte and in a bit of the flags. Source: `readelf` of cubins;
    EF_CUDA_* of LLVM's BinaryFormat/ELF.h.
    """
    if cubin[:4] != b"\x7fELF" or len(cubin) < 64:
        return None
    (flags,) = struct.unpack_from("<I", cubin, 48)
    bit, attribute = ACCELERATORS
    if cubin[8] < 8:
        return f"sm_{flags & 0xFF}{'a' if flags & bit else ''}"
    return f"sm_{flags >> 8 & 0xFF}{'a' if _compat(cubin).get(attribute) else ''}"


def _compat(cubin: bytes) -> dict[int, int]:
    """The attributes of the section .nv.compat that are numbers of a byte or two."""
    (start,) = struct.unpack_from("<Q", cubin, 40)
    size, count = struct.unpack_from("<HH", cubin, 58)
    for header in range(start, start + size * count, size):
        _, kind, _, _, offset, length = struct.unpack_from("<IIQQQQ", cubin, header)
        if kind == COMPAT:
            return _attributes(cubin[offset : offset + length])
    return {}


def _attributes(section: bytes) -> dict[int, int]:
    """Each has its form (2: a byte, 3: two bytes, 4: as many as are said), number, and value."""
    found, place = {}, 0
    while place + 4 <= len(section):
        form, number, value = struct.unpack_from("<BBH", section, place)
        if form != 4:
            found[number] = value
        place += 4 + (value if form == 4 else 0)
    return found


def find_tool(name: str) -> Path | None:
    """A program of the CUDA toolkit: on PATH, under CUDA_HOME, in a package, where it installs."""
    folders = [
        Path(os.environ[home]) / "bin" for home in ("CUDA_HOME", "CUDA_PATH") if home in os.environ
    ]
    folders += Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin")
    folders += [Path("/usr/local/cuda/bin"), *sorted(Path("/usr/local").glob("cuda-*/bin"))]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    return Path(found) if found else None


def _tool(name: str) -> Path:
    tool = find_tool(name)
    if tool is None:
        raise CnnError.of("E0741", f"no {name} to make GPU code with", hint=INSTALL)
    return tool


def _run(tool: Path, arguments: list[str], *, errors: bool = False) -> str:
    """What a program writes on stdout, or on stderr."""
    try:
        done = subprocess.run([str(tool), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CnnError.of("E0741", f"cannot run {tool}: {error.strerror}", hint=INSTALL) from None
    if done.returncode:
        lines = [line for line in f"{done.stdout}{done.stderr}".splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line or "fatal" in line), "no reason")
        raise CnnError.of("E0741", f"{tool.name} failed: {reason.strip()}", hint=INSTALL)
    return done.stderr if errors else done.stdout
