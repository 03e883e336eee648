"""What operators have in common: passes, analyses and backends ask for these."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import ModuleType
from typing import Any, ClassVar, Self

from cnndsl.ir.attributes import Padding, Sizes
from cnndsl.ir.derivative import differentiate
from cnndsl.ir.dims import Dim
from cnndsl.ir.formula import Formula, Stage, X
from cnndsl.ir.index import Index
from cnndsl.ir.operator import POINT, Operator, Reads, Sign, Window, Windows
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import (
    Pads,
    extent,
    output_sizes,
    per_axis,
    require_room,
    require_spatial,
    resolve_pads,
)


class Pointwise(Operator):
    """Each position depends on the same position of the operands alone."""

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """A point on every axis."""
        return (POINT,) * inputs[0].rank


class Channelwise(Operator):
    """Each channel of the result depends on the same channel of the operand alone.

    All are treated alike, but for parameters of one number for each.
    """


class Elementwise(Pointwise, Channelwise):
    """y[i] = formula(x[i]), with parameters of the channel."""

    in_place = True

    @property
    @abstractmethod
    def formula(self) -> Formula:
        """The function."""

    @property
    def derivative(self) -> Formula:
        """Its derivative, in a form that overflows nowhere on the way."""
        return differentiate(self.formula, X)

    @property
    def derivative_by_result(self) -> Formula | None:
        """Its derivative at x as a function of f(x), where there is a simple one."""
        return None

    def is_identity(self, x: TensorType) -> bool:
        """As a mover, or by its formula."""
        same = self.formula == X and self.output_type([x]) == x
        return same or super().is_identity(x)


class ChannelMap(Elementwise):
    """y[c] = factor[c] * x[c] + shift[c]."""

    sign = Sign.ANY


class Groupwise(Operator):
    """y[i] = result(x[i], statistics of the group of i): normalises groups, or reduces them.

    A group is all channels at one position, unless there are `groups`. `stages` are the statistics,
    which may read those of earlier stages; `once` is computed of them once for each group. `result`
    reads both, and parameters of the channel; without X it is one channel.
    """

    stages: ClassVar[tuple[Stage, ...]]
    in_place = True

    @property
    def once(self) -> Mapping[str, Formula]:
        """Further numbers of a group by name, of its statistics."""
        return {}

    @property
    @abstractmethod
    def result(self) -> Formula:
        """The function of single elements."""

    def groups_of(self, channels: int) -> int | None:
        """How many groups of neighbouring channels, at all positions, there are.

        None if the groups are the positions.
        """
        return None


class Linear(Operator):
    """W x + b with the parameters `weight` and, if there is a `bias`, bias [filters, ...]."""

    bias: bool
    sign = Sign.ANY
    gradient = Reads.OPERANDS

    def with_bias(self) -> Self:
        """The same with a bias."""
        biased: dict[str, Any] = {"bias": True}
        return replace(self, **biased)


class Mover(Operator):
    """Elements are moved, repeated and left out, numbers perhaps put between them."""

    gradient = Reads.NOTHING
    selects = True

    @property
    def sign(self) -> Sign:
        """That of the operand."""
        return Sign.KEPT


class Gathering(Mover):
    """Each result is one element of the operand, or `fill` where there is no such element."""

    @property
    def fill(self) -> float | None:
        """What results are that are no element; None if all are."""
        return None

    @abstractmethod
    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The index of that element on each axis of an operand of known size, once bound.

        With a `fill` it may lie outside of the operand.
        """


class Shorthand(Operator):
    """Binds to another operator, the only one that graphs and backends see."""

    sign = Sign.ANY
    gradient = Reads.BOTH

    @abstractmethod
    def bind(self, inputs: Sequence[TensorType]) -> Operator:
        """What it stands for."""

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Those of what it stands for."""
        return self.bind(inputs).windows(inputs)


class Spatial(Operator):
    """Has sizes for each axis of its operand, which it expands to every axis."""

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand them; the operand must have positions."""
        (x,) = inputs
        require_spatial(self.name, x)
        expanded: dict[str, Any] = {
            field.name: per_axis(sizes, x.rank, field.name)
            for field in fields(self)
            if field.metadata["kind"].axes and (sizes := getattr(self, field.name)) is not None
        }
        return replace(self, **expanded)


class Windowed(Spatial):
    """Each result is made of a window that slides over the operand."""

    kernel: Sizes
    stride: Sizes | None
    pad: Padding

    @property
    def strides(self) -> Sizes:
        """The stride of each axis, once bound."""
        return self.stride or self.kernel

    @property
    def pads(self) -> Pads:
        """(before, after) for each axis, once bound."""
        assert not isinstance(self.pad, str)
        return self.pad

    @property
    def dilations(self) -> Sizes:
        """The dilation of each axis, once bound."""
        return getattr(self, "dilation", (1,) * len(self.kernel))

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; a stride that is not given is the kernel."""
        (x,) = inputs
        sized = super().bind(inputs)
        pads = resolve_pads(sized.pad, x.spatial, sized.kernel, sized.strides, sized.dilations)
        bound: dict[str, Any] = {"stride": sized.strides, "pad": pads}
        return replace(sized, **bound)

    def sizes(self, x: TensorType, *, ceil: bool = False) -> tuple[Dim, ...]:
        """floor (or with `ceil` the ceiling) of (n + pads - k_eff)/stride, + 1, for each axis."""
        sizes = output_sizes(
            self.name, x, self.kernel, self.strides, self.dilations, self.pads, ceil=ceil
        )
        require_room(self.name, x, sizes, self.dilations, self.pads)
        return sizes

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """The window of each axis."""
        axes = zip(self.kernel, self.strides, self.dilations, self.pads, strict=True)
        return tuple(Window(s, -b, extent(k, r) - 1 - b) for k, s, r, (b, _) in axes)


def family(module: ModuleType) -> tuple[type[Operator], ...]:
    """The operators that a module defines, in order; bases have no name."""
    return tuple(
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Operator)
        and member.__module__ == module.__name__
        and "name" in vars(member)
    )
