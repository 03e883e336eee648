"""Operators that compute nothing: where a network starts, and what passes a value on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import Kind, attribute
from cnndsl.ir.formula import X
from cnndsl.ir.operator import Operator, Reads, Sign, Windows
from cnndsl.ir.operators.bases import Elementwise, Mover
from cnndsl.ir.types import DTYPES, FLOAT32, DType, Shape, TensorType


def _dtype(name: object) -> DType:
    if not isinstance(name, str) or name not in DTYPES:
        raise ValueError
    return DTYPES[name]


@dataclass(frozen=True)
class Input(Operator):
    """A value that the caller provides, [batch, *shape]. Written `input NAME [C, H, W]`."""

    name: ClassVar[str] = "input"
    foreign = ("Keras Input",)
    example = "relu"
    sign = Sign.ANY
    gradient = Reads.NOTHING
    operands: ClassVar[int | None] = 0

    shape: Shape = attribute(Kind("a list of sizes", tuple))
    dtype: DType = attribute(Kind(f"one of {', '.join(DTYPES)}", _dtype), FLOAT32)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The declared shape."""
        return TensorType(self.shape)

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """It reads nothing."""
        return None


@dataclass(frozen=True)
class Identity(Mover, Elementwise):
    """y = x. The meaning of an empty branch."""

    name: ClassVar[str] = "identity"
    foreign = ("PyTorch Identity", "Keras Identity")
    example = "add { conv(8, 3) | identity }"
    formula = X
