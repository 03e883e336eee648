"""Convolutions and fully connected layers as the direct kernel sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.cpu.codegen.expressions import Expr, div, minimum
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import concat, pad, reshape, slice_axis, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, FullyConnected


@dataclass(frozen=True)
class Window:
    """A convolution over blocks of channels.

    `weight` is [filters, channels, *kernel] with the channels of the input blocks that are packed
    for an output block. Output blocks that follow one another read the same ones in runs of `run`.
    `before` is the padding in front of each axis. `block` are the channels of an input block here:
    where groups begin inside the blocks of the operand, equal parts of those.
    """

    weight: Expression
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    groups: int
    channels: int
    block: int
    lanes: int
    run: int

    @classmethod
    def of(cls, call: Call[Conv], word: int = 1) -> Window:
        """The convolution that a call is; the kernel of a fully connected layer is the map.

        Channels are read in words of so many, which divide the block.
        """
        op, x, lanes = call.op, call.x, call.machine.lanes
        blocks = call.output.blocks
        if isinstance(op, FullyConnected):
            shape = (op.units, x.channels, *x.spatial)
            weight = reshape(call.weight, shape)
            ones, zeros = (1,) * x.rank, (0,) * x.rank
            return cls(weight, ones, ones, zeros, 1, x.channels, x.block, lanes, blocks)
        before = tuple(before for before, _ in op.pads)
        geometry = (op.stride, op.dilation, before, op.groups, x.channels, x.block, lanes)
        weight = dense_weight(call)
        filters, channels = op.filters // op.groups, x.channels // op.groups
        if op.groups == 1:
            return cls(weight, *geometry, blocks)
        block = math.gcd(channels, x.block)
        geometry = (*geometry[:-2], block if block % word == 0 else word, lanes)
        if filters % lanes == 0 and filters > lanes and block % word == 0:
            return cls(weight, *geometry, filters // lanes)
        sparse = cls(weight, *geometry, 1)
        return cls(sparse._dense(blocks), *geometry, 1)

    def by_rows(self, word: int) -> Window:
        """The same where the channels of a row of the kernel lie side by side, in such words.

        They become the channels of one position.
        """
        filters, channels, *kernel = self.weight.shape
        axes = (0, 1 + len(kernel), 1, *range(2, 1 + len(kernel)))
        row = channels * kernel[-1]
        weight = reshape(transpose(self.weight, axes), (filters, row, *kernel[:-1], 1))
        return replace(self, weight=weight, channels=row, block=-(-row // word) * word)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sizes of the kernel."""
        return self.weight.shape[2:]

    @property
    def is_pointwise(self) -> bool:
        """Whether outputs and inputs correspond one to one."""
        ones = (1,) * len(self.kernel)
        return self.kernel == ones and self.stride == ones and not any(self.before)

    @property
    def inner(self) -> int:
        """Input blocks that an output block reads."""
        return -(-self.weight.shape[1] // self.block)

    @property
    def size(self) -> int:
        """Filters of a group."""
        return self.weight.shape[0] // self.groups

    @property
    def is_sparse(self) -> bool:
        """Whether each output block reads input blocks of its own."""
        return self.groups > 1 and self.run == 1

    @property
    def mixes_groups(self) -> bool:
        """Whether an output block may have filters of several groups."""
        return self.groups > 1 and self.size % self.lanes != 0

    def corner(self, position: Sequence[Expr]) -> list[Expr]:
        """The first position that an output reads."""
        axes = zip(position, self.stride, self.before, strict=True)
        return [index * stride - before for index, stride, before in axes]

    def panel(self, blocks: int) -> int:
        """Floats of the packed weights of one input block for so many output blocks."""
        return math.prod(self.kernel) * self.block * blocks * self.lanes

    def first_block(self, block: Expr) -> Expr:
        """The input block that the packed weights of an output block start with."""
        if self.groups == 1:
            return 0
        last = -(-self.channels // self.block) - self.inner
        return minimum(self.reads(block)[0], last)

    def reads(self, block: Expr) -> tuple[Expr, Expr]:
        """The first input block that an output block needs, and the one after the last."""
        first, stop = self.groups_of(block)
        return self.read_by(first)[0], self.read_by(stop - 1)[1]

    def groups_of(self, block: Expr) -> tuple[Expr, Expr]:
        """The first group that an output block has filters of, and the one after the last."""
        last = minimum((block + 1) * self.lanes, self.weight.shape[0]) - 1
        return div(block * self.lanes, self.size), div(last, self.size) + 1

    def read_by(self, group: Expr) -> tuple[Expr, Expr]:
        """The first input block that a group needs, and the one after the last."""
        width = self.channels // self.groups
        return div(group * width, self.block), div((group + 1) * width + self.block - 1, self.block)

    def _dense(self, blocks: int) -> Expression:
        """The weight with zeros for the channels that an output block reads for other filters."""
        filters, width, *kernel = self.weight.shape
        rows = []
        for group in range(self.groups):
            own = slice_axis(self.weight, 0, group * self.size, (group + 1) * self.size)
            sides = (group * width, self.channels - (group + 1) * width)
            rows.append(pad(own, ((0, 0), sides, *((0, 0),) * len(kernel))))
        inputs = -(-self.channels // self.block) * self.block
        whole = pad(
            concat(rows, 0), ((0, 0), (0, inputs - self.channels), *((0, 0),) * len(kernel))
        )
        span = self._span(blocks) * self.block
        parts = []
        for block in range(blocks):
            first = min(self.reads(block)[0] * self.block, inputs - span)
            outputs = slice_axis(
                whole, 0, block * self.lanes, min((block + 1) * self.lanes, filters)
            )
            parts.append(slice_axis(outputs, 1, first, first + span))
        return concat(parts, 0)

    def _span(self, blocks: int) -> int:
        """Input blocks that are enough for every output block."""
        return max(int(stop - first) for first, stop in map(self.reads, range(blocks)))


def packed(weight: Expression, block: int, outputs: int) -> Expression:
    """[filters/outputs, channels/block, *kernel, block, outputs], filled up with zeros."""
    filters, channels, *kernel = weight.shape
    chunks, inner = -(-filters // outputs), -(-channels // block)
    missing = ((0, chunks * outputs - filters), (0, inner * block - channels))
    full = pad(weight, (*missing, *((0, 0),) * len(kernel)))
    split_up = reshape(full, (chunks, outputs, inner, block, *kernel))
    axes = range(4, 4 + len(kernel))
    return transpose(split_up, (0, 2, *axes, 3, 1))
