"""Joins: operators of two or more operands, written `add { a | b }`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.dims import multiples, scaled
from cnndsl.ir.formula import OTHER, X, maximum, minimum
from cnndsl.ir.operator import POINT, OperatorError, Reads, Sign, Window, Windows
from cnndsl.ir.operators.bases import Mover, Pointwise
from cnndsl.ir.types import AXES, TensorType


class Join(Pointwise):
    """Operands of equal shapes, element by element; smaller ones are repeated (broadcast).

    One operand at least has the shape of the result. The others have it too, or a size of 1 on
    some axes, along which they are repeated; a vector [C] is taken for [C, 1, ...]. Those with a
    formula take their operands one after another, X being the value so far. If they `commute`, in
    any order.
    """

    operands: ClassVar[int | None] = None
    commutes: ClassVar[bool] = True
    in_place = True
    sign = Sign.KEPT

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of the operand with the most axes, and the fewest of size 1."""
        index, result = max(enumerate(inputs), key=lambda item: _extent(item[1]))
        for other, x in enumerate(inputs):
            if not repeats(x, result):
                (i, first), (j, second) = sorted(((index, result), (other, x)), key=lambda p: p[0])
                raise OperatorError(
                    "E0301",
                    f"{self.name} needs operands of one shape, but operand {i + 1} is {first} "
                    f"and operand {j + 1} is {second}",
                    hint=_hint(first, second),
                    show_operands=True,
                )
        return result

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """A point on every axis, but all positions where an operand is repeated along one."""
        result = self.infer(inputs)
        repeated = any(x.rank and x.spatial != result.spatial for x in inputs)
        return None if repeated else (POINT,) * result.rank


@dataclass(frozen=True)
class Add(Join):
    """Sum of the operands: y = x1 + x2 + ..., smaller ones repeated."""

    name: ClassVar[str] = "add"
    foreign = ("PyTorch add", "Keras Add")
    gradient = Reads.NOTHING
    formula = X + OTHER


@dataclass(frozen=True)
class Subtract(Join):
    """Difference: y = x1 - x2 - ..., smaller operands repeated."""

    name: ClassVar[str] = "sub"
    foreign = ("PyTorch sub", "Keras Subtract")
    commutes = False
    sign = Sign.ANY
    gradient = Reads.NOTHING
    formula = X - OTHER


@dataclass(frozen=True)
class Mul(Join):
    """Product of the operands: y = x1 * x2 * ..., smaller ones repeated.

    With a vector this is the excitation of Hu et al. (2018), Squeeze-and-excitation networks.
    """

    name: ClassVar[str] = "mul"
    foreign = ("PyTorch mul", "Keras Multiply")
    gradient = Reads.OPERANDS
    formula = X * OTHER


@dataclass(frozen=True)
class Divide(Join):
    """Quotient: y = x1 / x2 / ..., smaller operands repeated."""

    name: ClassVar[str] = "div"
    foreign = ("PyTorch div", "Keras divide")
    commutes = False
    sign = Sign.ANY
    gradient = Reads.OPERANDS
    formula = X / OTHER


@dataclass(frozen=True)
class Max(Join):
    """Largest of the operands, element by element: y = max(x1, x2, ...), smaller ones repeated."""

    name: ClassVar[str] = "max"
    foreign = ("PyTorch maximum", "Keras Maximum")
    gradient = Reads.BOTH
    formula = maximum(X, OTHER)


@dataclass(frozen=True)
class Min(Join):
    """Least of the operands, element by element: y = min(x1, x2, ...), smaller ones repeated."""

    name: ClassVar[str] = "min"
    foreign = ("PyTorch minimum", "Keras Minimum")
    gradient = Reads.BOTH
    formula = minimum(X, OTHER)


@dataclass(frozen=True)
class Average(Join):
    """Mean of the operands, element by element: y = (x1 + ... + xn) / n, smaller ones repeated."""

    name: ClassVar[str] = "average"
    foreign = ("Keras Average",)
    gradient = Reads.NOTHING


@dataclass(frozen=True)
class Concat(Pointwise, Mover):
    """The operands' channels one after another."""

    name: ClassVar[str] = "concat"
    foreign = ("PyTorch cat", "Keras Concatenate")
    example_shapes = ((8, 16, 16), (4, 16, 16))
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


@dataclass(frozen=True)
class ConcatPositions(Mover):
    """Base of the operators that put maps beside one another, along one axis."""

    operands: ClassVar[int | None] = None

    @classmethod
    def axis(cls, rank: int) -> int:
        """Which of the spatial axes it is. Raises ValueError if maps of that rank have none."""
        return AXES.get(rank, ()).index(cls.name.removeprefix("concat_"))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The sizes of that axis added up; all others must be equal."""
        first = inputs[0]
        try:
            along = 1 + self.axis(first.rank)
        except ValueError:
            message = f"{self.name} cannot join {first}, which has no axis of that name"
            raise OperatorError("E0306", message, show_operands=True) from None
        shape = list(first.shape)
        for index, x in enumerate(inputs[1:], start=2):
            if (*x.shape[:along], *x.shape[along + 1 :]) != (*shape[:along], *shape[along + 1 :]):
                message = f"operand 1 is {first} and operand {index} is {x}"
                raise OperatorError(
                    "E0301",
                    f"{self.name} needs operands that differ on one axis only, but {message}",
                    show_operands=True,
                )
            shape[along] = shape[along] + x.shape[along]
        return TensorType(tuple(shape))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Of the axis all positions before, as far as the other operands reach; else the same."""
        if any(x.is_open for x in inputs):
            return None
        along = self.axis(inputs[0].rank)
        before = sum(x.sizes[1 + along] for x in inputs[:-1])
        windows = [POINT] * inputs[0].rank
        windows[along] = Window(1, -before, 0)
        return tuple(windows)


@dataclass(frozen=True)
class ConcatLength(ConcatPositions):
    """Signals one after another."""

    name: ClassVar[str] = "concat_length"
    example_shapes = ((8, 16), (8, 4))


@dataclass(frozen=True)
class ConcatHeight(ConcatPositions):
    """Images or volumes one below another."""

    name: ClassVar[str] = "concat_height"
    example_shapes = ((8, 16, 16), (8, 4, 16))


@dataclass(frozen=True)
class ConcatWidth(ConcatPositions):
    """Images or volumes side by side."""

    name: ClassVar[str] = "concat_width"
    example_shapes = ((8, 16, 16), (8, 16, 4))


@dataclass(frozen=True)
class ConcatDepth(ConcatPositions):
    """Volumes one behind another."""

    name: ClassVar[str] = "concat_depth"
    example_shapes = ((8, 4, 16, 16), (8, 2, 16, 16))


BESIDE = (ConcatLength, ConcatHeight, ConcatWidth, ConcatDepth)
"""All of them."""


def _extent(x: TensorType) -> tuple[int, int]:
    """The number of axes, and of those that are longer than 1."""
    return x.rank, sum(size != 1 for size in x.shape)


def repeats(x: TensorType, result: TensorType) -> bool:
    """Whether a shape becomes that of the result by repetition along axes of size 1."""
    shape = x.shape if x.rank else x.shape + (1,) * result.rank
    same = len(shape) == len(result.shape)
    return same and all(n in (1, size) for n, size in zip(shape, result.shape, strict=True))


def _hint(a: TensorType, b: TensorType) -> str | None:
    """What would make two operands of a join fit, as far as their shapes tell."""
    if a.rank != b.rank:
        return None
    factors = multiples((*a.spatial, *b.spatial))
    if factors and all(
        scaled(n, factors) == scaled(m, factors) for n, m in zip(a.spatial, b.spatial, strict=True)
    ):
        named = " and ".join(f"{factor}*{name} for {name}" for name, factor in factors.items())
        return f"the sizes agree with {named} in the input"
    if a.is_open or b.is_open:
        return "open sizes must follow from the input in the same way"
    if a.spatial == b.spatial:
        return "conv(filters, 1) or pad_channels changes the number of channels"
    return "strides or paddings of the branches differ"
