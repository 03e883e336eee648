"""Joins: operators of two or more operands, written `add { a | b }`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.formula import OTHER, X, maximum
from cnndsl.ir.operator import OperatorError, Reads, Sign
from cnndsl.ir.operators.bases import Mover, Pointwise
from cnndsl.ir.types import TensorType


class Join(Pointwise):
    """Operands of equal shapes, element by element; a vector [C] also joins any [C, *spatial].

    Those with a formula take their operands one after another, X being the value so far.
    """

    operands: ClassVar[int | None] = None
    in_place = True
    sign = Sign.KEPT

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of the operands, vectors left aside unless all are."""
        index, result = max(enumerate(inputs), key=lambda item: item[1].rank)
        for other, x in enumerate(inputs):
            if x.shape not in (result.shape, result.shape[:1]):
                (i, first), (j, second) = sorted(((index, result), (other, x)), key=lambda p: p[0])
                raise OperatorError(
                    "E0301",
                    f"{self.name} needs operands of one shape, but operand {i + 1} is {first} "
                    f"and operand {j + 1} is {second}",
                    hint=_hint(first, second),
                    show_operands=True,
                )
        return result


@dataclass(frozen=True)
class Add(Join):
    """Sum of the operands: y = x1 + x2 + ..., a vector [C] being added at every position."""

    name: ClassVar[str] = "add"
    gradient = Reads.NOTHING
    formula = X + OTHER


@dataclass(frozen=True)
class Mul(Join):
    """Product of the operands: y = x1 * x2 * ..., a vector [C] scaling every position.

    With a vector this is the excitation of Hu et al. (2018), Squeeze-and-excitation networks.
    """

    name: ClassVar[str] = "mul"
    foreign = ("multiply",)
    gradient = Reads.OPERANDS
    formula = X * OTHER


@dataclass(frozen=True)
class Max(Join):
    """Largest of the operands, element by element: y = max(x1, x2, ...)."""

    name: ClassVar[str] = "max"
    foreign = ("maximum",)
    gradient = Reads.BOTH
    formula = maximum(X, OTHER)


@dataclass(frozen=True)
class Average(Join):
    """Mean of the operands, element by element: y = (x1 + ... + xn) / n."""

    name: ClassVar[str] = "average"
    gradient = Reads.NOTHING


@dataclass(frozen=True)
class Concat(Pointwise, Mover):
    """The operands' channels one after another."""

    name: ClassVar[str] = "concat"
    foreign = ("cat", "concatenate")
    operands: ClassVar[int | None] = None

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[sum of the channels, *spatial]; the spatial sizes must be equal."""
        first = inputs[0]
        for index, x in enumerate(inputs):
            if x.spatial != first.spatial:
                raise OperatorError(
                    "E0301",
                    "concat needs operands that differ in their channels only, but operand 1 is "
                    f"{first} and operand {index + 1} is {x}",
                    hint=_hint(TensorType((1, *first.spatial)), TensorType((1, *x.spatial))),
                    show_operands=True,
                )
        return TensorType((sum(x.channels for x in inputs), *first.spatial))


def _hint(a: TensorType, b: TensorType) -> str | None:
    """What would make two operands of a join fit, as far as their shapes tell."""
    if a.rank != b.rank:
        return None
    if a.is_open or b.is_open:
        return "open sizes must follow from the input in the same way"
    if a.spatial == b.spatial:
        return "conv(filters, 1) or pad_channels changes the number of channels"
    return "strides or paddings of the branches differ"
