"""TVM's module `tirx`, imported when the first code is written."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.load_tvm import load_tvm


def __getattr__(name: str) -> Any:
    """What TVM's module has under the name, which is found here from then on."""
    found = globals()[name] = getattr(load_tvm().tirx, name)
    return found
