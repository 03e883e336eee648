"""Operators on codes as kernels compute them: tensors are uint8, and operators know the scales.

Their representation leaves out what is data: layers that differ in scales alone have the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from cnndsl.ir.operator import Operator, Reads, Sign, Windows
from cnndsl.ir.operators import Meaning, Quantised
from cnndsl.ir.quantisation import HIGHEST, Quantisation
from cnndsl.ir.types import FLOAT32, UINT8, TensorType


@dataclass(frozen=True)
class _OnCodes(Operator):
    """Neither folded, moved nor trained: passes are over when it is made."""

    gradient = Reads.BOTH
    sign = Sign.ANY
    internal = True

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """None that a pass could use."""
        return None


@dataclass(frozen=True)
class Encode(_OnCodes):
    """The codes of float32 numbers."""

    name: ClassVar[str] = "quantise"

    result: Quantisation

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """Codes of the shape of the operand."""
        return replace(inputs[0], dtype=UINT8)

    def __repr__(self) -> str:
        return "Encode()"


@dataclass(frozen=True)
class Decode(_OnCodes):
    """What codes stand for."""

    name: ClassVar[str] = "dequantise"

    source: Quantisation

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """float32 of the shape of the operand."""
        return replace(inputs[0], dtype=FLOAT32)

    def __repr__(self) -> str:
        return "Decode()"


@dataclass(frozen=True)
class Coded(_OnCodes):
    """What a bound `Quantised` computes of uint8 tensors."""

    quantised: Quantised

    @property
    def name(self) -> str:  # type: ignore[override]
        """That of what it approximates."""
        return self.quantised.op.name

    @property
    def operands(self) -> int | None:  # type: ignore[override]
        """As many as what it approximates has."""
        return self.quantised.operands

    @property
    def is_clipped(self) -> bool:
        """Whether codes are clipped more tightly than to 0 to 255."""
        return (self.quantised.low, self.quantised.high) != (0, HIGHEST)

    @property
    def result(self) -> Quantisation:
        """What its codes stand for."""
        assert self.quantised.result is not None
        return self.quantised.result

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """That of what it approximates."""
        return self.quantised.op.infer([TensorType(x.shape) for x in inputs])

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """Codes, or float32."""
        return replace(self.infer(inputs), dtype=UINT8 if self.quantised.result else FLOAT32)

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Those of what it approximates."""
        return self.quantised.op.macs([TensorType(x.shape) for x in inputs], output)

    def __repr__(self) -> str:
        op, meaning = self.quantised.op, self.quantised.meaning
        inner: object = op
        if meaning in (Meaning.SUM, Meaning.TABLE, Meaning.MAP, Meaning.PRODUCT):
            inner = len(self.quantised.sources)
        rescaled: tuple[bool, ...] = ()
        if meaning is Meaning.MOVE:
            rescaled = tuple(factor is not None for factor in self.quantised.rescaling)
        return f"Coded({meaning.name}, {inner!r}, {self.quantised.result is None}, {rescaled})"
