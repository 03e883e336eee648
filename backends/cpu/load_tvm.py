"""TVM's package, imported at the first need and without Relax.

Relax is TVM's language of whole graphs. Kernels need nothing of it, and it is a third of the time
of an import that takes longer than a whole compilation whose kernels are all in the cache.
"""

from __future__ import annotations

import sys
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

RELAX = "tvm.relax"
_LOCK = Lock()


def load_tvm() -> Any:
    """The module `tvm`. Whoever else asks it for Relax gets Relax, which is imported then."""
    with _LOCK:
        return import_module("tvm") if sys.modules.get("tvm") else _without_relax()


def _without_relax() -> Any:
    sys.modules[RELAX] = ModuleType(RELAX)
    try:
        tvm: Any = import_module("tvm")
    finally:
        del sys.modules[RELAX]
    del tvm.relax
    tvm.__getattr__ = _relax
    return tvm


def _relax(name: str) -> Any:
    if name != "relax":
        raise AttributeError(f"module 'tvm' has no attribute {name!r}")
    return import_module(RELAX)
