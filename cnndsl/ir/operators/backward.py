"""Operators that differentiation puts into graphs; the language has no words for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Kind, Sizes, attribute
from cnndsl.ir.formula import Formula, X, from_lists
from cnndsl.ir.operator import Operator, OperatorError, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators.bases import Elementwise, Mover
from cnndsl.ir.operators.join import Join, repeats
from cnndsl.ir.operators.pooling import MaxPool
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads


def _formula(value: Any) -> Formula:
    return value if isinstance(value, Formula) else from_lists(value)


def _pool(value: Any) -> MaxPool:
    if not isinstance(value, MaxPool):
        raise ValueError
    return value


def _taps(value: Any) -> Taps:
    return tuple(tuple((int(place), float(weight)) for place, weight in row) for row in value)


Taps = tuple[tuple[tuple[int, float], ...], ...]
"""For each result of an axis the places that it reads, and their weights."""

FORMULA = Kind("a formula", _formula)
SHAPE = Kind("a list of sizes", lambda value: tuple(map(int, value)))


class _OfAll(Operator):
    """Results depend on all positions."""

    internal = True
    sign = Sign.ANY
    gradient = Reads.OPERANDS

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions."""
        return None


@dataclass(frozen=True)
class Function(Elementwise):
    """y[i] = function(x[i]), with parameters of the channel by their roles."""

    name: ClassVar[str] = "function"
    internal = True
    sign = Sign.ANY
    gradient = Reads.OPERANDS

    function: Formula = attribute(FORMULA)

    @property
    def formula(self) -> Formula:
        """The function."""
        return self.function

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """One number for each channel."""
        spec = ParameterSpec((inputs[0].channels,), "ones")
        return dict.fromkeys(self.function.roles(), spec)


@dataclass(frozen=True)
class Again(Mover, Elementwise):
    """y = x, read later: what is computed of it is computed again, not kept.

    No pass takes it for x, or what follows for what was computed of x before.
    """

    name: ClassVar[str] = "again"
    internal = True
    formula = X

    def is_identity(self, x: TensorType) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class JoinFunction(Join):
    """y = function(x1, x2), element by element, the smaller one repeated."""

    name: ClassVar[str] = "join_function"
    internal = True
    commutes = False
    sign = Sign.ANY
    gradient = Reads.OPERANDS

    function: Formula = attribute(FORMULA)

    @property
    def formula(self) -> Formula:
        """The function of X and OTHER."""
        return self.function

    def takes(self, count: int) -> bool:
        """Two."""
        return count == 2


@dataclass(frozen=True)
class ReduceTo(_OfAll):
    """The sum, or the mean, along all axes on which `shape` is 1, which undoes a repetition.

    A vector [C] is taken for [C, 1, ...], as in joins. With `batch` over all samples too.
    """

    name: ClassVar[str] = "reduce_to"
    gradient = Reads.NOTHING

    shape: tuple[int, ...] = attribute(SHAPE)
    mean: bool = attribute(kind.FLAG, False)
    batch: bool = attribute(kind.FLAG, False)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape."""
        (x,) = inputs
        result = TensorType(self.shape)
        if not repeats(result, x):
            raise OperatorError("E0301", f"{x} is no repetition of {result}", show_operands=True)
        return result

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """With `batch` one for all samples."""
        found = super().output_type(inputs)
        return replace(found, batched=found.batched and not self.batch)

    def is_identity(self, x: TensorType) -> bool:
        """If nothing is reduced."""
        return self.output_type([x]) == x


@dataclass(frozen=True)
class AxisMap(_OfAll):
    """A linear map along one axis, 0 being the channels: y[j] = sum of weight * x[place].

    `taps` are the places and weights of each result j of the axis.
    """

    name: ClassVar[str] = "axis_map"
    gradient = Reads.NOTHING

    axis: int = attribute(kind.INDEX)
    taps: Taps = attribute(Kind("places and weights", _taps))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """As many results along the axis as there are taps."""
        shape = list(inputs[0].shape)
        shape[self.axis] = len(self.taps)
        return TensorType(tuple(shape))


@dataclass(frozen=True)
class Correlate(_OfAll):
    """The gradient of a convolution by its weight: x and the gradient g, correlated.

    y[i,l,m,n] = sum over the batch and all positions of g[i,j,k] x[l, j*s1+m*r1, k*s2+n*r2], x
    being padded; of vectors y[i,l] = sum over the batch of g[i] x[l]. With `groups` l counts the
    channels of the group of i. The result is one for all samples.

    Source: Goodfellow et al., Deep Learning (2016), section 9.5, equation 9.11.
    """

    name: ClassVar[str] = "correlate"
    operands: ClassVar[int | None] = 2

    kernel: Sizes = attribute(SHAPE)
    stride: Sizes = attribute(SHAPE)
    pads: Pads = attribute(Kind("pairs", lambda value: tuple((int(b), int(a)) for b, a in value)))
    dilation: Sizes = attribute(SHAPE)
    groups: int = attribute(kind.COUNT, 1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[filters, channels/groups, *kernel]."""
        x, g = inputs
        return TensorType((g.channels, x.channels // self.groups, *self.kernel))

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """One for all samples."""
        return replace(super().output_type(inputs), batched=False)


@dataclass(frozen=True)
class PositionalCorrelate(_OfAll):
    """The gradient of a locally connected or tiled layer by its weight.

    Of patches x [channels * kernel, *positions] and the gradient g [filters, *positions]:
    y[i, t, q] = sum over the batch, and over all positions p that are t modulo `tiles`, of
    g[i,p] x[q,p], as [filters, *tiles, channels/groups, *kernel], one for all samples. Filters of
    a group have the patches of its channels alone.
    """

    name: ClassVar[str] = "positional_correlate"
    operands: ClassVar[int | None] = 2

    tiles: Sizes = attribute(SHAPE)
    kernel: Sizes = attribute(SHAPE)
    groups: int = attribute(kind.COUNT, 1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[filters, *tiles, channels/groups, *kernel]."""
        x, g = inputs
        channels = x.channels // math.prod(self.kernel) // self.groups
        return TensorType((g.channels, *self.tiles, channels, *self.kernel))

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """One for all samples."""
        return replace(super().output_type(inputs), batched=False)


@dataclass(frozen=True)
class MaxPoolGradient(_OfAll):
    """The gradient of a max pool by its operand: each g goes to the largest element of its window.

    Operands are x and g. Of several equal ones the first one gets it, the last axis fastest.
    """

    name: ClassVar[str] = "maxpool_gradient"
    operands: ClassVar[int | None] = 2

    op: MaxPool = attribute(Kind("a max pool", _pool))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of x."""
        return inputs[0]


@dataclass(frozen=True)
class BatchMoment(_OfAll):
    """For each channel the sum, or the mean, of (x - mean)^2 over the batch and all positions.

    Operands are x and a number for each channel, one for all samples; with a third one, g of the
    type of x, it is the sum of (x - mean) g.
    """

    name: ClassVar[str] = "batch_moment"
    operands: ClassVar[int | None] = None

    mean: bool = attribute(kind.FLAG, False)

    def takes(self, count: int) -> bool:
        """Two or three."""
        return count in (2, 3)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels]."""
        return TensorType((inputs[0].channels,))

    def output_type(self, inputs: Sequence[TensorType]) -> TensorType:
        """One for all samples."""
        return replace(super().output_type(inputs), batched=False)


@dataclass(frozen=True)
class BatchNormalise(_OfAll):
    """Batch normalisation in training: y = weight (x - mean) / sqrt(variance + eps) + bias.

    Operands are x, and mean and variance of each channel over the batch and all positions, the
    variance divided by their number. Source: Ioffe and Szegedy (2015), algorithm 1. The gradient
    by x is that with mean and variance as functions of it.
    """

    name: ClassVar[str] = "batch_normalise"
    operands: ClassVar[int | None] = 3

    eps: float = attribute(kind.POSITIVE, 1e-5)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The shape of x."""
        return inputs[0]

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Scale and shift."""
        shape = (inputs[0].channels,)
        return {"weight": ParameterSpec(shape, "ones"), "bias": ParameterSpec(shape, "zeros")}
