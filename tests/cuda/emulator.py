"""The target without a GPU: its kernels' text compiled for this CPU, and a driver to run it.

Kernels are compiled with the primitives of emulate*.h, and driver.cpp stands for the driver, so
that all else is what runs on a GPU: the text, the launches, the calls of the driver.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cnndsl.backends.cuda import compile as compiling
from cnndsl.backends.cuda import driver
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.cuda.objects import Code
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.source import PARTS, Source, part
from cnndsl.backends.cuda.toolchain import Resources
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array

HERE = Path(__file__).parent
OPTIONS = (
    "-std=c++17",
    "-march=native",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-w",
    "-shared",
    "-fPIC",
)
EMULATED = ("emulate.h", "emulate_tensor.h")
"""What stands for the primitives."""
BACKWARDS = "EMULATED_BACKWARDS"
"""The variable that makes blocks and threads run in the opposite order."""


def build_library(source: Path, library: Path, *options: str) -> None:
    """Compile C++ into a shared library."""
    command = ["c++", *OPTIONS, *options, "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)


@dataclass
class Emulator:
    """Compiles modules whose device code is the path of a library in `folder`."""

    folder: Path
    optimise: str = "-Og"
    known: dict[str, Code] = field(default_factory=dict)
    """What is compiled already, by the names of kernels, which are equal for equal text."""

    def module(
        self,
        network: Graph,
        values: Mapping[str, Array],
        batch: int | None = None,
        precision: str = "f32",
        **options: object,
    ) -> CudaModule:
        """The module of a graph; nvcc is not called."""
        asked = CudaOptions(batch=batch, precision=precision, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiling, "make_code", self.code)
            return compiling.compile_module(network, values, asked)

    def code(
        self, sources: Mapping[str, Source], progress: object = None
    ) -> tuple[dict[str, Code], int]:
        """What stands for `make_code`: all kernels that are not known in one library."""
        missing = {symbol: kernel for symbol, kernel in sources.items() if symbol not in self.known}
        if missing:
            self.known |= dict.fromkeys(missing, self._compiled(missing))
        return {symbol: self.known[symbol] for symbol in sources}, 0

    def _compiled(self, sources: Mapping[str, Source]) -> Code:
        number = len(list(self.folder.glob("*.so")))
        source, library = (self.folder / f"kernels{number}.{end}" for end in ("cpp", "so"))
        texts = [kernel.text for kernel in sources.values()]
        lines = ['#include "shared.h"', *texts, *map(_entry, sources)]
        source.write_text("\n".join(lines))
        self._write_header()
        build_library(source, library, self.optimise)
        return Code(str(library).encode(), Resources(0, 0, 0))

    def _write_header(self) -> None:
        """What all modules share, precompiled: it takes most of the time."""
        header = self.folder / "shared.h"
        if not header.exists():
            emulated = [(HERE / name).read_text() for name in EMULATED]
            header.write_text("\n".join(["#pragma once", *emulated, *map(part, PARTS)]))
            options = [option for option in OPTIONS if option != "-shared"]
            command = ["c++", *options, self.optimise, "-x", "c++-header", str(header)]
            subprocess.run(command, check=True)


def use_emulated_driver(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the target find the emulated driver."""
    library = folder / "libcuda.so.1"
    if not library.exists():
        build_library(HERE / "driver.cpp", library)
    patch.setattr(driver, "LIBRARY", str(library))


def _entry(symbol: str) -> str:
    return (
        f"\nstatic void run_{symbol}(const void *arguments) {{\n"
        f"  {symbol}(*(const K_{symbol}::Arguments *)arguments);\n"
        "}\n"
        f'extern "C" int emulate_{symbol}(const void *arguments, const int *grid, int threads, '
        "int shared) {\n"
        f"  typedef K_{symbol} K;\n"
        "  if (arguments)\n"
        f"    emulator::launch(run_{symbol}, arguments, grid, threads, shared, K::CLUSTER,\n"
        f'                     K::COOPERATIVE, std::getenv("{BACKWARDS}") != nullptr);\n'
        "  return sizeof(K::Arguments);\n}\n"
    )
