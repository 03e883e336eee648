"""Operators that compute nothing at inference, and inputs, which the caller provides."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, native
from cnndsl.ir.operators.structure import Identity, Input
from cnndsl.ir.operators.training import Dropout, DropPath


def _input(site: Site, op: Input) -> None:
    """A graph input has no node."""


LOWERINGS: Lowerings = {
    Input: _input,
    Identity: native("Identity"),
    Dropout: native("Identity"),
    DropPath: native("Identity"),
}
