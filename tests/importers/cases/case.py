"""A graph of a few operators in onnx's text form, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.importers.support import numbers


@dataclass(frozen=True)
class Case:
    """Statements on `x`, of `shape` without the batch, that make `y`; and what they become."""

    text: str
    becomes: str
    shape: tuple[int, ...] = (4, 9, 10)
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 17

    @property
    def id(self) -> str:
        """The statements in short."""
        return f"{self.opset} {' '.join(self.text.split())}"[:70]


def case(text: str, becomes: str, *shape: int, opset: int = 17, **constants: Any) -> Case:
    return Case(text, becomes, shape or (4, 9, 10), constants, opset)


def ints(*values: int) -> Any:
    return np.asarray(values, np.int64)


def f32(*values: float) -> Any:
    return np.asarray(values, np.float32)


W = numbers(6, 4, 3, 3)
B = numbers(6, seed=1)
ONE = f32(1.0).reshape(())
CHANNELS = numbers(4, 1, 1)
