"""Operators that compute nothing: where a network starts, and what passes a value on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import Kind, attribute
from cnndsl.ir.operator import Operator
from cnndsl.ir.types import Shape, TensorType


@dataclass(frozen=True)
class Input(Operator):
    """A value that the caller provides, [batch, *shape]. Written `input NAME [C, H, W]`."""

    name: ClassVar[str] = "input"
    operands: ClassVar[int | None] = 0

    shape: Shape = attribute(Kind("a list of sizes", tuple))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The declared shape."""
        return TensorType(self.shape)


@dataclass(frozen=True)
class Identity(Operator):
    """y = x. The meaning of an empty branch."""

    name: ClassVar[str] = "identity"
