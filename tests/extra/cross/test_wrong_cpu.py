"""Libraries on CPUs without instructions that they use: a status, no signal."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import cnndsl
from cnndsl.backends.cpu.codegen.compilers import compiler_for

TEXT = """
network small {
    input image [3, 12, 10]
    conv(8, 3) -> relu -> global_avgpool -> fc(7)
}
"""
PROGRAM = """
#include "small.h"
int main(int count, char **arguments)
{
    small_instance *net;
    return count == 2 ? (int)small_create(&net, arguments[1]) : -1;
}
"""
OK, WRONG_CPU = 0, 6


@pytest.mark.parametrize(
    ("triple", "cpu", "emulator", "lacks", "has"),
    [
        ("aarch64-linux-gnu", "apple-m2", "qemu-aarch64", "cortex-a76", "max"),
        ("aarch64-linux-gnu", "cortex-a76", "qemu-aarch64", "cortex-a53", "cortex-a76"),
        ("riscv64-linux-gnu", "sifive-x280", "qemu-riscv64", "rv64", None),
        ("x86_64-linux-gnu", "alderlake", "qemu-x86_64", "max", None),
        ("x86_64-linux-gnu", "x86-64-v2", "qemu-x86_64", "core2duo", "max"),
    ],
)
def test_instructions_that_are_not_there(
    triple: str, cpu: str, emulator: str, lacks: str, has: str | None, tmp_path: Path
):
    """A CPU that lacks what was asked for, and one that has it, if qemu knows one."""
    if not shutil.which(emulator):
        pytest.skip(f"there is no {emulator}")
    cnndsl.compile(TEXT, "cpu", seed=0, emit="library", triple=triple, mcpu=cpu).save(
        tmp_path / "out"
    )
    (tmp_path / "main.c").write_text(PROGRAM)
    sources = [str(tmp_path / "main.c"), str(tmp_path / "out" / "libsmall.a")]
    flags = [f"-I{tmp_path / 'out'}", "-o", str(tmp_path / "main"), "-lm", "-pthread", "-static"]
    compiler_for(triple)([*sources, *flags])
    for name, status in ((lacks, WRONG_CPU), (has, OK)):
        if name:
            program, weights = tmp_path / "main", tmp_path / "out" / "small.weights"
            command = [emulator, "-cpu", name, str(program), str(weights)]
            assert subprocess.run(command, check=False).returncode == status, name
