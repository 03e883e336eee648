"""Tensor-core instructions in device code, where a disassembler is installed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from cnndsl.backends.cuda.toolchain import find_tool

PRODUCT = re.compile(r"\b[A-Z]*(?:HMMA|GMMA)\b")


def machine_products(cubin: bytes) -> dict[str, int] | None:
    """The number of tensor-core instructions of each kernel; None without a disassembler."""
    for tool, options, head in (
        ("cuobjdump", ["-sass"], r"Function : (\w+)"),
        ("nvdisasm", ["-c"], r"^\s*\.section\s+\.text\.(\w+)"),
    ):
        path = find_tool(tool)
        if path is not None:
            return _count(_output(path, options, cubin), head)
    return None


def _output(tool: Path, options: list[str], cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), *options, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _count(listing: str, head: str) -> dict[str, int]:
    _, *parts = re.split(head, listing, flags=re.MULTILINE)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: len(PRODUCT.findall(body)) for name, body in pairs}
