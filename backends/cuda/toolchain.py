"""From CUDA text to device code: nvcc translates to PTX, ptxas to a cubin. No GPU is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cnndsl.diagnostics import CnnError

INSTALL = (
    "pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-crt nvidia-nvvm, or "
    "apt install nvidia-cuda-toolkit; PATH or CUDA_HOME says where it is"
)
PRODUCT = "mma.sync"
"""The PTX instruction of a product on tensor cores."""


@dataclass(frozen=True)
class Resources:
    """What a kernel needs of a multiprocessor.

    `registers` of a thread, bytes of `spills` that move between registers and memory for lack of
    registers, `products`: instructions for tensor cores.
    """

    registers: int
    spills: int
    products: int


def compile_text(text: str, arch: str) -> tuple[bytes, dict[str, Resources]]:
    """The cubin of a CUDA text for an architecture, and what its kernels need by name.

    Raises CnnError (E0741) if the compiler is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        source, ptx, cubin = (Path(folder) / f"kernels.{end}" for end in ("cu", "ptx", "cubin"))
        source.write_text(text)
        virtual = arch.replace("sm_", "compute_")
        _run("nvcc", ["-ptx", f"-arch={virtual}", "-std=c++17", "-o", str(ptx), str(source)])
        log = _run("ptxas", ["-v", f"-arch={arch}", "-o", str(cubin), str(ptx)])
        products = _products(ptx.read_text())
        used = {
            name: Resources(registers, spills, products.get(name, 0))
            for name, (registers, spills) in _usage(log).items()
        }
        return cubin.read_bytes(), used


def find_tool(name: str) -> Path | None:
    """A program of the CUDA toolkit: on PATH, under CUDA_HOME, in a package, where it installs."""
    folders = [
        Path(os.environ[home]) / "bin" for home in ("CUDA_HOME", "CUDA_PATH") if home in os.environ
    ]
    folders += Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin")
    folders += [Path("/usr/local/cuda/bin"), *sorted(Path("/usr/local").glob("cuda-*/bin"))]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    return Path(found) if found else None


def _run(name: str, arguments: list[str]) -> str:
    """What a program writes on stderr."""
    tool = find_tool(name)
    if tool is None:
        raise CnnError.of("E0741", f"no {name} to make GPU code with", hint=INSTALL)
    try:
        done = subprocess.run([str(tool), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CnnError.of("E0741", f"cannot run {tool}: {error.strerror}", hint=INSTALL) from None
    if done.returncode:
        lines = [line for line in f"{done.stdout}{done.stderr}".splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line or "fatal" in line), "no reason")
        raise CnnError.of("E0741", f"{name} failed: {reason.strip()}", hint=INSTALL)
    return done.stderr


def _products(ptx: str) -> dict[str, int]:
    """Products on tensor cores in the PTX of each kernel."""
    _, *parts = re.split(r"\.entry\s+", ptx)
    return {re.split(r"\W", part, maxsplit=1)[0]: part.count(PRODUCT) for part in parts}


def _usage(log: str) -> dict[str, tuple[int, int]]:
    """Registers and spilled bytes of each kernel, from what ptxas -v says."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part.partition("'")[0]
        registers = re.search(r"Used (\d+) registers", part)
        spills = re.findall(r"(\d+) bytes spill", part)
        found[name] = (int(registers[1]) if registers else 0, sum(map(int, spills)))
    return found
