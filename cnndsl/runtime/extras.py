"""Packages that only some users need: the extras of the installation."""

from __future__ import annotations

from importlib.util import find_spec

from cnndsl.diagnostics import CnnError


def require_onnx() -> None:
    """Raise CnnError (E0705) unless onnx and onnxruntime are installed."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise CnnError.of(
            "E0705", f"{missing[0]} is not installed", hint="install it: pip install 'cnndsl[onnx]'"
        )
