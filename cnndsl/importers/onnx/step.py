"""A node of a model, in plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

STANDARD = ("", "ai.onnx")
"""Domains of the operators of ONNX itself."""

OWN = "cnndsl"
"""That of steps which stand for several of a model."""


@dataclass(frozen=True)
class Body:
    """A branch of an If: its steps, the names of its results, and what it reads from outside."""

    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A node of the model. A missing operand is an empty name, and so is a module not known.

    The operands of an If are its condition and all that its branches read.
    """

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    module: str = ""

    def __str__(self) -> str:
        """As messages name it."""
        name = self.name or next((f"of {output}" for output in self.outputs if output), "")
        kind = self.kind if self.domain in (*STANDARD, OWN) else f"{self.domain}.{self.kind}"
        return f"{kind} {name!r}"


def as_written(value: float) -> float:
    """The shortest decimal that is this number in float32: what its author wrote."""
    return float(str(np.float32(value)))
