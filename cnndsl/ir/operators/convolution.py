"""Convolution (cross-correlation) in one to three dimensions: plain, grouped, dilated, by table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeAlias

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Padding, Sizes, attribute, nested_shape
from cnndsl.ir.operator import OperatorError, ParameterSpec
from cnndsl.ir.operators.bases import Linear, Shorthand, Windowed
from cnndsl.ir.types import TensorType

Table: TypeAlias = tuple[tuple[int, ...], ...]
"""For each filter the input channels that it reads."""


@dataclass(frozen=True)
class Conv(Windowed, Linear):
    """Convolution as networks mean it, which is cross-correlation.

    Z[i,j,k] = b[i] + sum_{l,m,n} V[l, j*s1+m*r1, k*s2+n*r2] * K[i,l,m,n], stride s, dilation r,
    for every number of axes alike. With `groups` G, output channel i of group g reads only the
    input channels of group g. With `table`, output channel i reads the input channels table[i]
    (LeCun et al. 1998, table I). `flip` turns the kernel round on every axis, which makes it the
    mathematical convolution; `weight` gives the kernel as constants [filters, channels/groups,
    *kernel], or one [*kernel] for all, instead of learning it. The default `pad` is "same";
    PyTorch, Keras and ONNX pad nothing unless told to.

    Parameters: weight [filters, channels/groups, *kernel], or [connections, *kernel] in the
    order of the table; bias [filters]. MACs: weights * output positions.
    """

    name: ClassVar[str] = "conv"
    foreign = ("PyTorch Conv2d", "Keras Conv2D")
    example = "conv(16, 3, stride=2)"

    filters: int = attribute(kind.COUNT)
    kernel: Sizes = attribute(kind.SIZES)
    stride: Sizes = attribute(kind.SIZES, (1,))
    pad: Padding = attribute(kind.PADDING, "same")
    dilation: Sizes = attribute(kind.SIZES, (1,))
    groups: int = attribute(kind.COUNT, 1)
    bias: bool = attribute(kind.FLAG, True)
    flip: bool = attribute(kind.FLAG, False)
    table: Table | None = attribute(kind.optional(kind.TABLE), None)
    weight: Any = attribute(kind.optional(kind.VALUES), None)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; check groups, table and constant weights."""
        bound = super().bind(inputs)
        channels = inputs[0].channels
        check_groups(self.groups, channels, self.filters)
        if self.table is not None:
            if self.groups != 1 or self.weight is not None:
                raise OperatorError(
                    "E0310", "a table excludes groups and a constant weight", attribute="table"
                )
            check_table(self.table, channels, self.filters)
        if self.weight is None:
            return bound
        shape = (self.filters, channels // self.groups, *bound.kernel)
        given = whole_weight(self.weight, shape, "[filters, channels/groups, *kernel]")
        return replace(bound, weight=given)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[filters, floor((n + pads - k_eff)/stride) + 1 for each axis]."""
        return TensorType((self.filters, *self.sizes(inputs[0])))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The weight, unless it is constant, and the bias."""
        (x,) = inputs
        specs = {}
        if self.table is not None:
            connections = sum(map(len, self.table))
            specs["weight"] = ParameterSpec((connections, *self.kernel), "he_table")
        elif self.weight is None:
            shape = (self.filters, x.channels // self.groups, *self.kernel)
            specs["weight"] = ParameterSpec(shape, "he")
        if self.bias:
            specs["bias"] = ParameterSpec((self.filters,), "zeros")
        return specs

    def constants(self) -> dict[str, Any]:
        """The weight, if the network gives it."""
        return {} if self.weight is None else {"weight": self.weight}

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """filters * channels/groups * kernel * output positions."""
        connections = count_connections(self.table, self.groups, inputs[0].channels, self.filters)
        return connections * math.prod(self.kernel) * output.elements // self.filters


@dataclass(frozen=True)
class Depthwise(Shorthand):
    """Depthwise convolution: every input channel has `multiplier` filters of its own.

    Z[i,j,k] = b[i] + sum_{m,n} V[i // multiplier, j*s1+m*r1, k*s2+n*r2] * K[i,0,m,n]. Stands
    for conv(multiplier*channels, kernel, groups=channels); a constant `weight` is [filters,
    *kernel], or one [*kernel] for all.

    Source: Howard et al. (2017), MobileNets, section 3.1. Parameters and MACs: as for conv.
    """

    name: ClassVar[str] = "depthwise"
    foreign = ("Keras DepthwiseConv2D",)
    example = "depthwise(3, multiplier=2)"

    kernel: Sizes = attribute(kind.SIZES)
    multiplier: int = attribute(kind.COUNT, 1)
    stride: Sizes = attribute(kind.SIZES, (1,))
    pad: Padding = attribute(kind.PADDING, "same")
    dilation: Sizes = attribute(kind.SIZES, (1,))
    bias: bool = attribute(kind.FLAG, True)
    weight: Any = attribute(kind.optional(kind.VALUES), None)

    def bind(self, inputs: Sequence[TensorType]) -> Conv:
        """The grouped convolution that it stands for."""
        (x,) = inputs
        weight = self.weight
        if weight is not None and len(nested_shape(weight)) == 1 + x.rank:
            weight = tuple((kernel,) for kernel in weight)
        conv = Conv(
            self.multiplier * x.channels,
            self.kernel,
            self.stride,
            self.pad,
            self.dilation,
            groups=x.channels,
            bias=self.bias,
            weight=weight,
        )
        return conv.bind(inputs)


def whole_weight(weight: Any, shape: tuple[int, ...], axes: str) -> Any:
    """Constant kernels of a shape: as given, or one kernel for all filters and channels.

    Raises OperatorError.
    """
    given = nested_shape(weight)
    if given == shape[2:]:
        return ((weight,) * shape[1],) * shape[0]
    if given != shape:
        written, needed = "x".join(map(str, given)) or "one number", "x".join(map(str, shape))
        raise OperatorError(
            "E0311",
            f"the constant weight is {written}, the convolution needs {needed} {axes}",
            hint=f"or one kernel for all, {'x'.join(map(str, shape[2:]))}",
            attribute="weight",
        )
    return weight


def _nearest_divisors(count: int, groups: int) -> str:
    """The largest divisor below a number of groups and the least above, as far as there is one."""
    small = [d for d in range(1, math.isqrt(count) + 1) if count % d == 0]
    divisors = sorted({*small, *(count // d for d in small)})
    below = [d for d in divisors if d < groups][-1:]
    return " and ".join(map(str, below + [d for d in divisors if d > groups][:1]))


def check_groups(groups: int, channels: int, filters: int, attribute: str = "groups") -> None:
    """Raise OperatorError unless both channel counts divide by the number of groups."""
    for what, count in (("input channels", channels), ("filters", filters)):
        if count % groups:
            raise OperatorError(
                "E0302",
                f"{count} {what} do not divide into {groups} groups",
                hint=f"the nearest numbers that divide {count}: {_nearest_divisors(count, groups)}",
                attribute=attribute,
                show_operands=what == "input channels",
            )


def check_table(table: Table, channels: int, filters: int) -> None:
    """Raise OperatorError unless a table has a row for each filter, of input channels."""
    if len(table) != filters:
        raise OperatorError(
            "E0310",
            f"the table has {len(table)} rows for {filters} filters",
            hint="a table has one row for each filter: the input channels that it reads",
            attribute="table",
        )
    largest = max(map(max, table))
    if largest >= channels:
        raise OperatorError(
            "E0310",
            f"the table reads input channel {largest}, but the input has {channels} channels "
            "(counted from 0)",
            attribute="table",
        )


def count_connections(table: Table | None, groups: int, channels: int, filters: int) -> int:
    """Pairs of a filter and an input channel that it reads."""
    return filters * (channels // groups) if table is None else sum(map(len, table))
