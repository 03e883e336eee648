"""Convolutions by table, with turned or constant kernels, and kernels that depend on the place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, dilation: Any, groups: int = 1
) -> Tensor:
    """Convolution of maps [batch, channels, *positions] on one to three axes."""
    function = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    return function(x, weight, bias, stride, 0, dilation, groups)


def he_normal(shape: Sequence[int], inputs: float) -> nn.Parameter:
    """Numbers of variance 2 / inputs (He et al. 2015)."""
    return nn.Parameter(torch.randn(*shape) * math.sqrt(2 / inputs))


class FlippedConv(nn.Module):
    """Convolution in the sense of mathematics: the kernel is turned round on every axis."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: Sequence[int],
        stride: Any = 1,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        flip: bool = True,
    ):
        super().__init__()
        inputs = channels // groups
        self.weight = he_normal((filters, inputs, *kernel), inputs * math.prod(kernel))
        self.bias = nn.Parameter(torch.zeros(filters)) if bias else None
        self.stride, self.dilation, self.groups = stride, dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.flip(tuple(range(2, x.dim())))
        return convolve(x, weight, self.bias, self.stride, self.dilation, self.groups)


class TableConv(nn.Module):
    """Convolution whose filter i reads the input channels table[i] (LeCun et al. 1998, table I).

    The weight is [connections, *kernel] in the order of the table.
    """

    def __init__(
        self,
        channels: int,
        table: Sequence[Sequence[int]],
        kernel: Sequence[int],
        stride: Any = 1,
        dilation: Any = 1,
        bias: bool = True,
        flip: bool = False,
    ):
        super().__init__()
        pairs = [(i, channel) for i, row in enumerate(table) for channel in row]
        filters, inputs = zip(*pairs, strict=True)
        self.register_buffer("filters", torch.tensor(filters), persistent=False)
        self.register_buffer("inputs", torch.tensor(inputs), persistent=False)
        mean = len(pairs) / len(table)
        self.weight = he_normal((len(pairs), *kernel), mean * math.prod(kernel))
        self.bias = nn.Parameter(torch.zeros(len(table))) if bias else None
        self.shape = (len(table), channels, *kernel)
        self.stride, self.dilation, self.flip = stride, dilation, flip

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.new_zeros(self.shape)
        weight = weight.index_put((self.filters, self.inputs), self.weight)
        if self.flip:
            weight = weight.flip(tuple(range(2, x.dim())))
        return convolve(x, weight, self.bias, self.stride, self.dilation)


class ConstantConv(nn.Module):
    """Convolution with given kernels [filters, channels, *kernel], or one for all."""

    def __init__(
        self,
        channels: int,
        filters: int,
        weight: Any,
        stride: Any = 1,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        self.register_buffer("kernel", torch.tensor(weight), persistent=False)
        self.bias = nn.Parameter(torch.zeros(filters)) if bias else None
        self.filters, self.inputs = filters, channels // groups
        self.stride, self.dilation, self.groups = stride, dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        weight = self.kernel.expand(self.filters, self.inputs, *self.kernel.shape[2:])
        return convolve(x, weight, self.bias, self.stride, self.dilation, self.groups)


class ConstantConvTranspose(nn.Module):
    """Transposed convolution with given kernels [channels, filters, *kernel], or one for all."""

    def __init__(
        self,
        channels: int,
        filters: int,
        weight: Any,
        stride: Any = 1,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
    ):
        super().__init__()
        self.register_buffer("kernel", torch.tensor(weight), persistent=False)
        self.bias = nn.Parameter(torch.zeros(filters)) if bias else None
        self.channels, self.outputs = channels, filters // groups
        self.options = (stride, 0, output_padding, groups, dilation)

    def forward(self, x: Tensor) -> Tensor:
        functions = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
        weight = self.kernel.expand(self.channels, self.outputs, *self.kernel.shape[2:])
        return functions[x.dim() - 3](x, weight, self.bias, *self.options)


def by_position(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    kernel: Sequence[int],
    stride: Any,
    groups: int = 1,
) -> Tensor:
    """Convolution by kernels [filters, *positions, channels/groups, *kernel] of each position."""
    strides = (stride,) * len(kernel) if isinstance(stride, int) else stride
    for axis, (size, step) in enumerate(zip(kernel, strides, strict=True), start=2):
        x = x.unfold(axis, size, step)
    positions = x.shape[2 : 2 + len(kernel)]
    windows = x.flatten(2, 1 + len(kernel)).flatten(3).unflatten(1, (groups, -1))
    sizes = (weight.shape[0] // groups, math.prod(positions), windows.shape[2], math.prod(kernel))
    kernels = weight.reshape(groups, *sizes)
    result = torch.einsum("bgcpk,gfpck->bgfp", windows, kernels).flatten(1, 2)
    result = result.unflatten(2, positions)
    return result if bias is None else result + bias


class LocalConv(nn.Module):
    """A convolution whose kernel differs at every output position (LeCun 1989)."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: Sequence[int],
        positions: Sequence[int],
        stride: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        inputs = channels // groups
        self.weight = he_normal((filters, *positions, inputs, *kernel), inputs * math.prod(kernel))
        self.bias = nn.Parameter(torch.zeros(filters, *positions)) if bias else None
        self.kernel, self.stride, self.groups = kernel, stride, groups

    def forward(self, x: Tensor) -> Tensor:
        return by_position(x, self.weight, self.bias, self.kernel, self.stride, self.groups)


class LocalTableConv(nn.Module):
    """A locally connected layer whose filter i reads the input channels table[i].

    The weight is [connections, *positions, *kernel] in the order of the table.
    """

    def __init__(
        self,
        channels: int,
        table: Sequence[Sequence[int]],
        kernel: Sequence[int],
        positions: Sequence[int],
        stride: Any = 1,
        bias: bool = True,
    ):
        super().__init__()
        pairs = [(i, channel) for i, row in enumerate(table) for channel in row]
        filters, inputs = zip(*pairs, strict=True)
        self.register_buffer("filters", torch.tensor(filters), persistent=False)
        self.register_buffer("inputs", torch.tensor(inputs), persistent=False)
        mean = len(pairs) / len(table)
        self.weight = he_normal((len(pairs), *positions, *kernel), mean * math.prod(kernel))
        self.bias = nn.Parameter(torch.zeros(len(table), *positions)) if bias else None
        self.shape = (len(table), channels, *positions, *kernel)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.new_zeros(self.shape)
        weight = weight.index_put((self.filters, self.inputs), self.weight)
        weight = weight.movedim(1, 1 + len(self.kernel))
        return by_position(x, weight, self.bias, self.kernel, self.stride)


class TiledConv(nn.Module):
    """A convolution whose kernels repeat with a period on every axis (Gregor and LeCun 2010)."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: Sequence[int],
        period: int,
        stride: Any = 1,
        bias: bool = True,
    ):
        super().__init__()
        tiles = (period,) * len(kernel)
        shape = (filters, *tiles, channels, *kernel)
        self.weight = he_normal(shape, channels * math.prod(kernel))
        self.bias = nn.Parameter(torch.zeros(filters, *tiles)) if bias else None
        self.kernel, self.period, self.stride = kernel, period, stride

    def forward(self, x: Tensor) -> Tensor:
        strides = (self.stride,) * len(self.kernel) if isinstance(self.stride, int) else self.stride
        weight, bias = self.weight, self.bias
        for axis, (size, step) in enumerate(zip(self.kernel, strides, strict=True), start=1):
            outputs = (x.shape[1 + axis] - size) // step + 1
            tiles = torch.arange(outputs, device=x.device) % self.period
            weight = weight.index_select(axis, tiles)
            bias = None if bias is None else bias.index_select(axis, tiles)
        return by_position(x, weight, bias, self.kernel, self.stride)
