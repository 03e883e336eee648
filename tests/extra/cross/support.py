"""Libraries for other machines, run under an emulator, as modules."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnndsl.backends.cpu.build import compile_known
from cnndsl.backends.cpu.codegen.compilers import compiler_for
from cnndsl.backends.cpu.emit.library import symbol_name
from cnndsl.backends.cpu.machine import Machine, find_machine
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array

DRIVER = Path(__file__).with_name("driver.c")


@dataclass(frozen=True)
class Target:
    """A machine, and the command that runs its programs."""

    triple: str
    cpu: str
    emulator: tuple[str, ...]

    def machine(self) -> Machine:
        """Two cores."""
        return replace(find_machine(self.cpu, self.triple), cores=2)


TARGETS = {
    "cortex-a53": Target("aarch64-linux-gnu", "cortex-a53", ("qemu-aarch64",)),
    "neoverse-v1": Target("aarch64-linux-gnu", "neoverse-v1", ("qemu-aarch64", "-cpu", "max")),
    "armv7": Target("arm-linux-gnueabihf", "native", ("qemu-arm",)),
    "riscv64": Target("riscv64-linux-gnu", "native", ("qemu-riscv64",)),
    "x86-64-v2": Target("x86_64-linux-gnu", "x86-64-v2", ()),
}


class Emulated:
    """A compiled graph that runs under an emulator."""

    def __init__(self, name: str, graph: Graph, values: Mapping[str, Array], batch: int = 1):
        self._target, self._graph, self._batch = TARGETS[name], graph, batch
        options = CpuOptions(batch=batch, emit="library")
        self._module = compile_known(graph, values, options, self._target.machine())

    def run(self, inputs: Mapping[str, Array], own: Path | None = None) -> dict[str, Array]:
        """The outputs of a batch, or of one sample after the other.

        `own` is a file of the network's own weights in place of the packed ones.
        """
        net = symbol_name(self._graph.name)
        with tempfile.TemporaryDirectory() as name:
            scratch = Path(name)
            self._module.save(scratch / "out")
            count = len(next(iter(inputs.values()))) // self._batch
            with (scratch / "input").open("wb") as file:
                for index in range(count):
                    part = slice(index * self._batch, (index + 1) * self._batch)
                    for port in self._module.inputs:
                        file.write(np.ascontiguousarray(inputs[port.name][part], np.float32))
            self._build(scratch, net)
            weights = own or scratch / "out" / f"{net}.weights"
            arguments = [weights, scratch / "input", scratch / "output"]
            command = [*self._target.emulator, scratch / "driver", *arguments, str(count)]
            subprocess.run(list(map(str, command)), check=True, timeout=600)
            return self._read(np.fromfile(scratch / "output", np.float32), count)

    def _build(self, scratch: Path, net: str) -> None:
        names = [f'-DLIBRARY_HEADER="{net}.h"', f"-DNET(x)={net}_##x"]
        counts = [f"-D{key}={net.upper()}_{key}" for key in ("INPUTS", "OUTPUTS")]
        flags = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{scratch / 'out'}"]
        libraries = [str(scratch / "out" / f"lib{net}.a"), "-lm", "-pthread", "-static"]
        built = ["-o", str(scratch / "driver"), str(DRIVER)]
        compiler_for(self._target.triple)([*names, *counts, *flags, *built, *libraries])

    def _read(self, numbers: Array, count: int) -> dict[str, Array]:
        rows = numbers.reshape(count, -1)
        found, start = {}, 0
        for port in self._module.outputs:
            shape = (self._batch, *map(int, port.type.sizes))
            size = int(np.prod(shape))
            part = rows[:, start : start + size]
            found[port.name] = part.reshape(count * self._batch, *shape[1:])
            start += size
        return found
