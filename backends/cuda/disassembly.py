"""Tensor-core instructions in device code, where a disassembler is installed."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cnndsl.backends.cuda.toolchain import find_tool

PRODUCT = re.compile(r"\b[A-Z]*(?:HMMA|GMMA)\b")


def machine_products(cubins: Mapping[str, bytes]) -> dict[str, int]:
    """The number of tensor-core instructions of each kernel; empty without a disassembler."""
    tool = find_tool("nvdisasm")
    if tool is None:
        return {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(
            lambda cubin: len(PRODUCT.findall(_listing(tool, cubin))), cubins.values()
        )
        return dict(zip(cubins, counts, strict=True))


def _listing(tool: Path, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "-c", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
