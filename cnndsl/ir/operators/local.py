"""Convolution-like layers whose kernel changes with the position: locally connected, tiled."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Padding, Sizes, attribute
from cnndsl.ir.operator import OperatorError, ParameterSpec
from cnndsl.ir.operators.bases import Linear, Windowed
from cnndsl.ir.operators.convolution import Table, check_groups, check_table, count_connections
from cnndsl.ir.types import TensorType


class _PositionalConv(Windowed, Linear):
    """A convolution with a set of kernels; the output position picks one of them."""

    filters: int

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[filters, floor((n + pads - kernel)/stride) + 1 for each axis]."""
        return TensorType((self.filters, *self.sizes(inputs[0])))

    @abstractmethod
    def tiles(self, inputs: Sequence[TensorType]) -> Sizes:
        """Number of different kernels along each axis."""

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """weight [filters, *tiles, channels, *kernel] and bias [filters, *tiles]."""
        (x,) = inputs
        tiles = self.tiles(inputs)
        shape = (self.filters, *tiles, x.channels, *self.kernel)
        specs = {"weight": ParameterSpec(shape, "he_local")}
        if self.bias:
            specs["bias"] = ParameterSpec((self.filters, *tiles), "zeros")
        return specs

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """channels * kernel * outputs, as for a convolution."""
        (x,) = inputs
        return x.channels * math.prod(self.kernel) * output.elements


@dataclass(frozen=True)
class LocalConv(_PositionalConv):
    """Locally connected layer: a convolution whose kernel differs at every output position.

    Z[i,j,k] = b[i,j,k] + sum_{l,m,n} V[l, j*s1+m, k*s2+n] * W[i,j,k,l,m,n]. With `groups` or a
    `table`, output channel i reads some of the input channels, as for conv.

    Source: LeCun (1989), Generalization and network design strategies. Parameters: weight
    [filters, *output, channels/groups, *kernel], or [connections, *output, *kernel] in the order
    of the table; bias [filters, *output]. MACs: as for conv.
    """

    name: ClassVar[str] = "local_conv"
    foreign = ("Keras LocallyConnected2D",)
    example = "local_conv(4, 3)"

    filters: int = attribute(kind.COUNT)
    kernel: Sizes = attribute(kind.SIZES)
    stride: Sizes = attribute(kind.SIZES, (1,))
    pad: Padding = attribute(kind.PADDING, "valid")
    bias: bool = attribute(kind.FLAG, True)
    groups: int = attribute(kind.COUNT, 1)
    table: Table | None = attribute(kind.optional(kind.TABLE), None)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; check groups and table."""
        channels = inputs[0].channels
        check_groups(self.groups, channels, self.filters)
        if self.table is not None:
            if self.groups != 1:
                raise OperatorError("E0310", "a table excludes groups", attribute="table")
            check_table(self.table, channels, self.filters)
        return super().bind(inputs)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """As for a convolution, but the sizes must be known: every position has its weights."""
        (x,) = inputs
        if x.is_open:
            raise OperatorError(
                "E0308",
                f"local_conv has weights for every position, so it needs known sizes, not {x}",
                hint="give the input numbers instead of open sizes",
                show_operands=True,
            )
        return super().infer(inputs)

    def tiles(self, inputs: Sequence[TensorType]) -> Sizes:
        """The output sizes."""
        return tuple(n for n in self.infer(inputs).spatial if isinstance(n, int))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """weight [filters, *output, channels/groups, *kernel] or by the table, and the bias."""
        specs, tiles = super().parameters(inputs), self.tiles(inputs)
        if self.table is not None:
            shape = (sum(map(len, self.table)), *tiles, *self.kernel)
            specs["weight"] = ParameterSpec(shape, "he_local_table")
        elif self.groups > 1:
            shape = (self.filters, *tiles, inputs[0].channels // self.groups, *self.kernel)
            specs["weight"] = ParameterSpec(shape, "he_local")
        return specs

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """As for conv: connections * kernel * output positions."""
        connections = count_connections(self.table, self.groups, inputs[0].channels, self.filters)
        return connections * math.prod(self.kernel) * output.elements // self.filters


@dataclass(frozen=True)
class TiledConv(_PositionalConv):
    """Tiled convolution: kernels that repeat with a period t along every axis.

    Z[i,j,k] = b[i, j%t, k%t] + sum_{l,m,n} V[l, j*s1+m, k*s2+n] * W[i, j%t, k%t, l,m,n];
    t = 1 is conv, t = output size is local_conv.

    Source: Gregor and LeCun (2010), Emergence of complex-like cells in a temporal product
    network with local receptive fields. Parameters: weight [filters, t, t, channels, *kernel]
    (one t for each axis), bias [filters, t, t]. MACs: as for conv.
    """

    name: ClassVar[str] = "tiled_conv"
    example = "tiled_conv(4, 3, period=2)"

    filters: int = attribute(kind.COUNT)
    kernel: Sizes = attribute(kind.SIZES)
    period: int = attribute(kind.COUNT)
    stride: Sizes = attribute(kind.SIZES, (1,))
    pad: Padding = attribute(kind.PADDING, "valid")
    bias: bool = attribute(kind.FLAG, True)

    def tiles(self, inputs: Sequence[TensorType]) -> Sizes:
        """The period, on every axis."""
        return (self.period,) * inputs[0].rank
