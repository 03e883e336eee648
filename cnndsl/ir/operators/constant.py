"""Arithmetic with constants that the network gives: residual scaling, input normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import X, parameter
from cnndsl.ir.operator import Operator, OperatorError, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators.bases import ChannelMap, Shorthand
from cnndsl.ir.types import FLOAT32, TensorType

LARGEST = 2**16
"""Numbers of a constant, channels that can have constants of their own."""


@dataclass(frozen=True)
class Scale(ChannelMap):
    """Constant scale and shift: y[c] = factor[c] * x[c] + shift[c].

    All arithmetic of a value and numbers: scale(2), scale(shift=-1), scale(-1, 1) for 1 - x. Each
    is one number, or a list with one for each channel. They reach backends as the constants
    `factor` and `shift`, [channels].
    """

    name: ClassVar[str] = "scale"
    foreign = ("Keras Rescaling",)
    example = "scale(2, shift=-1)"
    gradient = Reads.NOTHING
    formula = X * parameter("factor") + parameter("shift")

    factor: tuple[float, ...] = attribute(kind.NUMBERS, (1.0,))
    shift: tuple[float, ...] = attribute(kind.NUMBERS, (0.0,))

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand both to every channel."""
        channels = inputs[0].channels
        factor = _per_channel(self.factor, channels, "factor")
        return replace(self, factor=factor, shift=_per_channel(self.shift, channels, "shift"))

    def constants(self) -> dict[str, Any]:
        """The factor and the shift of each channel."""
        return {"factor": self.factor, "shift": self.shift}

    def is_identity(self, x: TensorType) -> bool:
        """By 1, with nothing added."""
        return set(self.factor) == {1.0} and set(self.shift) == {0.0}


@dataclass(frozen=True)
class Negate(Shorthand):
    """y = -x. Stands for scale(-1)."""

    name: ClassVar[str] = "neg"
    foreign = ("PyTorch neg", "Keras negative")

    def bind(self, inputs: Sequence[TensorType]) -> Scale:
        """The scale that it stands for."""
        return Scale((-1.0,)).bind(inputs)


@dataclass(frozen=True)
class Normalize(Shorthand):
    """Constant normalisation of the input: y[c] = (x[c] - mean[c]) / std[c].

    Each is one number, or a list with one for each channel. Stands for scale(1/std, -mean/std).
    """

    name: ClassVar[str] = "normalize"
    foreign = ("torchvision Normalize", "Keras Normalization")
    example = "normalize(mean=0.5, std=0.25)"
    example_shapes = ((3, 16, 16),)

    mean: tuple[float, ...] = attribute(kind.NUMBERS)
    std: tuple[float, ...] = attribute(kind.POSITIVES)

    def bind(self, inputs: Sequence[TensorType]) -> Scale:
        """The scale that it stands for."""
        channels = inputs[0].channels
        mean = _per_channel(self.mean, channels, "mean")
        std = _per_channel(self.std, channels, "std")
        return Scale(
            tuple(1 / s for s in std), tuple(-m / s for m, s in zip(mean, std, strict=True))
        )


class Fixed(Operator):
    """The same value for every sample, whatever the operand: that only tells how many there are."""

    sign = Sign.ANY
    gradient = Reads.NOTHING
    dtype = FLOAT32

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Nothing is read."""
        return None


@dataclass(frozen=True)
class LearnedValue(Fixed):
    """A learned value of its own, such as a position embedding: y = value, for every sample.

    Joined with another one, as in `add { identity | parameter([64, 1, 1]) }`. Parameters: value,
    of the given shape. If it is not `learned` the weight file gives it all the same, but it does
    not count as a parameter of the network. It starts as zeros, as ones, or as `normal`: with a
    standard deviation of 0.02 (Dosovitskiy et al. 2021, An image is worth 16x16 words).
    """

    name: ClassVar[str] = "parameter"
    foreign = ("PyTorch Parameter", "TensorFlow Variable")
    example = "add { identity | parameter([8, 1, 1]) }"

    shape: tuple[int, ...] = attribute(kind.KNOWN_SHAPE)
    init: str = attribute(kind.choice("zeros", "ones", "normal"), "zeros")
    learned: bool = attribute(kind.FLAG, True)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The given shape."""
        return TensorType(self.shape)

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The value."""
        return {"value": ParameterSpec(self.shape, self.init, self.learned)}


@dataclass(frozen=True)
class ConstantValue(Fixed):
    """Numbers that the network gives: y = value, for every sample.

    A list is a vector, a list of lists [channels, positions], and so on; a number is a vector of
    one. Larger ones are better given by a weight file, as parameter(shape, learned=false).
    """

    name: ClassVar[str] = "constant"
    example = "mul { identity | constant([1, 2, 3, 4, 4, 3, 2, 1]) }"

    values: Any = attribute(kind.ARRAY)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """As it is. Raises OperatorError for too many numbers."""
        count = math.prod(kind.nested_shape(self.values))
        if count > LARGEST:
            message = f"{count:,} numbers are too many for a constant ({LARGEST:,} at most)"
            hint = "a weight file gives those of parameter(shape, learned=false)"
            raise OperatorError("E0309", message, hint=hint, attribute="values")
        return self

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of the lists."""
        return TensorType(kind.nested_shape(self.values))

    def constants(self) -> dict[str, Any]:
        """The numbers."""
        return {"value": self.values}


def _per_channel(values: tuple[float, ...], channels: int, name: str) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise OperatorError(
            "E0309",
            f"{name} has {len(values)} numbers, but the input has {channels} channels",
            attribute=name,
            show_operands=True,
        )
    if channels > LARGEST:
        raise OperatorError(
            "E0309",
            f"constants for each channel need {LARGEST:,} channels at most, not {channels:,}",
            show_operands=True,
        )
    return values * channels if len(values) == 1 else values
