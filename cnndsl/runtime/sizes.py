"""Where the bytes of an artefact go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Size:
    """Bytes of a part of an artefact: `kind` is weights, kernels, code or files."""

    kind: str
    name: str
    bytes: int


@runtime_checkable
class Sized(Protocol):
    """A module that can tell where the bytes of its artefact go."""

    def sizes(self) -> Sequence[Size]:
        """Those of all its parts."""
