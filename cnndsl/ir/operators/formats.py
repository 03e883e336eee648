"""Operators that give numbers another format, or compute in one; passes alone make them.

docs/precision.md states what they compute to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from cnndsl.ir import formula as formulas
from cnndsl.ir.attributes import Kind, attribute
from cnndsl.ir.formula import X
from cnndsl.ir.operator import Operator, OperatorError, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators.bases import ChannelMap, Elementwise, Gathering, Linear, Mover
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.ir.operators.join import Add, Average, Max, Min, Mul, Subtract
from cnndsl.ir.operators.normalisation import Affine
from cnndsl.ir.operators.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from cnndsl.ir.operators.resize import Resize
from cnndsl.ir.quantisation import (
    CODES,
    HIGHEST,
    MOST_PRODUCTS,
    Array,
    Quantisation,
    codes,
    exact_factor,
    float32,
)
from cnndsl.ir.types import BFLOAT16, FLOAT16, FLOAT32, UINT8, DType, TensorType


def _quantisation(value: Any) -> Quantisation:
    if isinstance(value, Quantisation):
        return value
    scale, zero = value
    return Quantisation(scale, zero)


def _operator(value: Any) -> Operator:
    if not isinstance(value, Operator):
        raise ValueError
    return value


def _code(value: Any) -> int:
    if isinstance(value, bool) or value not in range(CODES):
        raise ValueError
    return int(value)


QUANTISATION = Kind("a scale and a zero point", _quantisation)
OPERATOR = Kind("an operator", _operator)
CODE = Kind("a whole number from 0 to 255", _code)
SOURCES = Kind("scales and zero points", lambda value: tuple(map(_quantisation, value)))
FLOATS = {"float32": FLOAT32, "bfloat16": BFLOAT16, "float16": FLOAT16}
FLOAT = Kind(f"one of {', '.join(FLOATS)}", lambda value: FLOATS[getattr(value, "name", value)])


class _Format(Mover, Elementwise):
    """The same numbers in another format, rounded to what that has."""

    internal = True
    in_place = False
    selects = False
    formula = X

    def is_identity(self, x: TensorType) -> bool:
        """Only if the format stays."""
        return self.output_type([x]) == x


@dataclass(frozen=True)
class Cast(_Format):
    """The nearest number of another floating point format, ties to even."""

    name: ClassVar[str] = "cast"

    dtype: DType = attribute(FLOAT, FLOAT32)


@dataclass(frozen=True)
class Quantise(_Format):
    """The codes of float32 numbers: clip(round(x / scale) + zero, 0, 255)."""

    name: ClassVar[str] = "quantise"

    result: Quantisation = attribute(QUANTISATION)

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """Codes of the shape of the operand."""
        if inputs[0].dtype != FLOAT32:
            raise OperatorError("E0315", f"quantise needs float32 numbers, not {inputs[0]}")
        return replace(inputs[0], dtype=UINT8, quantisation=self.result)


@dataclass(frozen=True)
class Dequantise(_Format):
    """What codes stand for, as float32: scale * (q - zero). `source` is that of the operand."""

    name: ClassVar[str] = "dequantise"

    source: Quantisation | None = attribute(
        Kind("a scale and a zero point", lambda v: None if v is None else _quantisation(v)), None
    )

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Take the meaning of the codes from the operand."""
        return replace(self, source=_source(self.name, inputs[0]))

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """float32 of the shape of the operand."""
        return TensorType(inputs[0].shape)


class Meaning(Enum):
    """How results are made from codes; docs/precision.md has the formula of each."""

    LINEAR = "products of codes and weights, summed up in 32 bits"
    SUM = "a weighted sum of the operands"
    PRODUCT = "the product of two operands"
    MEAN = "the mean of a window"
    MOVE = "codes of the operands, in the scale of the result"
    MAP = "a factor and a shift for each channel"
    TABLE = "a table of 256 codes"


@dataclass(frozen=True)
class Quantised(Operator):
    """Another operator on codes, computed in whole numbers as docs/precision.md states.

    `op` is what it approximates, `result` what the codes of the result stand for: None for
    float32 results, of linear layers alone. Codes are clipped to `low` and `high`, which is what
    is left of rectifiers. `sources` are the quantisations of the operands, set by `bind`.

    A linear layer has whole numbers as its `weight`, -127 to 127, and as its `bias`, in steps of
    the scale of the operand times `scale` [filters], that of the weights; `multiplier` [filters] is
    what sums are multiplied with. A map of channels has its `weight` and `bias` in steps of the
    result.
    """

    name: ClassVar[str] = "quantised"
    internal = True
    gradient = Reads.BOTH

    op: Operator = attribute(OPERATOR)
    result: Quantisation | None = attribute(
        Kind("a scale and a zero point", lambda v: None if v is None else _quantisation(v)), None
    )
    low: int = attribute(CODE, 0)
    high: int = attribute(CODE, HIGHEST)
    sources: tuple[Quantisation, ...] = attribute(SOURCES, ())

    @property
    def operands(self) -> int | None:  # type: ignore[override]
        """As many as what it approximates has."""
        return self.op.operands

    @property
    def sign(self) -> Sign:
        """That of what it approximates."""
        return self.op.sign

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Those of what it approximates."""
        return self.op.windows(_numbers(inputs))

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Bind what it approximates, and take the quantisations of the operands."""
        sources = tuple(_source(self.op.name, x) for x in inputs)
        bound = replace(self, op=self.op.bind(_numbers(inputs)), sources=sources)
        if meaning_of(bound.op, _numbers(inputs)) is None:
            raise OperatorError("E0315", f"{self.op.name} is not computed on codes")
        if self.result is None and bound.meaning is not Meaning.LINEAR:
            raise OperatorError("E0315", f"{self.op.name} has codes as its result")
        return bound

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """That of what it approximates."""
        return self.op.infer(_numbers(inputs))

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """Codes, or float32."""
        shape = self.infer(inputs).shape
        if self.result is None:
            return TensorType(shape)
        return TensorType(shape, UINT8, self.result)

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Those of what it approximates, and the scales of the weights of a linear layer."""
        specs = self.op.parameters(_numbers(inputs))
        if self.meaning is Meaning.LINEAR:
            filters = (self.infer(inputs).channels,)
            specs |= {role: ParameterSpec(filters, "ones") for role in ("scale", "multiplier")}
        return specs

    def constants(self) -> dict[str, Any]:
        """None: constant weights are made whole numbers like others."""
        return {}

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Those of what it approximates."""
        return self.op.macs(_numbers(inputs), output)

    @cached_property
    def meaning(self) -> Meaning:
        """How it computes."""
        found = _meaning(self.op)
        assert found is not None
        return found

    @property
    def factors(self) -> tuple[float, ...]:
        """What the centred codes of each operand of a SUM are multiplied with, or all of PRODUCT.

        Those of a SUM have 16 significant bits: products with them are exact in float32.
        """
        assert self.result is not None
        scale = self.result.scale
        if self.meaning is Meaning.PRODUCT:
            first, second = self.sources
            return (float32(float32(first.scale * second.scale) / scale),)
        count = len(self.sources)
        share = 1 / count if isinstance(self.op, Average) else 1.0
        signs = [-1.0 if i and isinstance(self.op, Subtract) else 1.0 for i in range(count)]
        return tuple(
            exact_factor(sign * share * source.scale / scale)
            for sign, source in zip(signs, self.sources, strict=True)
        )

    @property
    def rescaling(self) -> tuple[float | None, ...]:
        """What the centred codes of each operand of a MOVE are multiplied with; None: they stay."""
        assert self.result is not None
        scale = self.result.scale
        return tuple(
            None if source == self.result else float32(source.scale / scale)
            for source in self.sources
        )

    def mean_factor(self, count: int) -> float:
        """What the sum of the centred codes of a window of `count` numbers is multiplied with."""
        assert self.result is not None
        return float32(self.sources[0].scale / (self.result.scale * count))

    @cached_property
    def table(self) -> Array:
        """The codes of the result of a TABLE for the codes 0 to 255 of the operand, uint8 [256]."""
        assert self.result is not None
        (source,) = self.sources
        numbers = (np.arange(CODES) - source.zero) * source.scale
        values = function_values(self.op, numbers)
        return codes(values / self.result.scale, self.result.zero, self.low, self.high)


def function_values(op: Operator, numbers: Array) -> Array:
    """The values of a function of single elements without parameters, in float64."""
    assert op.formula is not None
    return formulas.evaluate(op.formula, numbers, 0.0, 0.0)


def meaning_of(op: Operator, inputs: Sequence[TensorType]) -> Meaning | None:
    """How a bound operator computes on codes; None if it does not.

    Neither does a linear layer of so many products that 32 bits may not hold their sum.
    """
    found = _meaning(op)
    if found is Meaning.LINEAR:
        weights = op.parameters(inputs).get("weight")
        shape = weights.shape if weights else np.shape(op.constants()["weight"])
        return found if math.prod(shape[1:]) <= MOST_PRODUCTS else None
    if found is Meaning.PRODUCT:
        return found if len(inputs) == 2 else None
    return found


def _meaning(op: Operator) -> Meaning | None:
    match op:
        case Conv(table=None) | FullyConnected():
            return Meaning.LINEAR
        case Add() | Subtract() | Average():
            return Meaning.SUM
        case Mul():
            return Meaning.PRODUCT
        case AvgPool() | GlobalAvgPool() | AdaptiveAvgPool():
            return Meaning.MEAN
        case MaxPool() | GlobalMaxPool() | AdaptiveMaxPool() | Max() | Min():
            return Meaning.MOVE
        case Resize(mode="nearest"):
            return Meaning.MOVE
        case Gathering():
            return Meaning.MOVE if op.fill in (None, 0) else None
        case _Format():
            return None
        case Mover():
            return Meaning.MOVE
        case Affine():
            return Meaning.MAP
        case Elementwise() if not isinstance(op, ChannelMap | Linear):
            return Meaning.TABLE if not op.formula.roles() else None
    return None


def _numbers(inputs: Sequence[TensorType]) -> list[TensorType]:
    """The types that codes stand for."""
    return [TensorType(x.shape) for x in inputs]


def _source(name: str, x: TensorType) -> Quantisation:
    if x.quantisation is None:
        raise OperatorError("E0315", f"{name} needs codes, not {x}", show_operands=True)
    return x.quantisation
