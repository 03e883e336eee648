"""The gradient of a convolution by its weight, blocked: filters in lanes, sums in registers.

A tile has a few blocks of filters times columns: the channels of a block of the operand, or, where
that lies channel by channel and in depthwise convolutions, offsets of the last axis of the kernel.
At each position it loads a vector of the gradient for each block and a number of the operand for
each column (depthwise, a vector). The sums of a sample are formed in registers, a run of positions
by itself, and then added to the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from cnndsl.backends.cpu.codegen.expressions import Expr, div, load, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.tir import Register
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import evenly, largest_divisor
from cnndsl.ir.operators import Correlate

KEPT = 4
"""Registers that hold no sums."""
WIDEST = 6
"""Columns of a tile at most: with two blocks of filters there are fewer loads for each product."""
RUN = 256
"""Positions whose products are summed up in one register."""
ENOUGH = 4
"""Tasks for each core that are divided evenly enough."""


def candidates(call: Call[Correlate]) -> Iterator[Candidate]:
    """The kernel for a call, if it is blocked."""
    if _prefers(call) and len(call.inputs) > 1:
        x, g = call.inputs
        lanes = call.machine.lanes
        is_read = x.block == lanes or (x.block == 1 and call.op.groups == 1)
        if is_read and g.block == call.output.block == lanes and call.output.is_dense:
            yield Candidate("blocked", partial(_kernel, call))


def _prefers(call: Call[Correlate]) -> bool:
    """Whether the groups are whole blocks, or have a channel each."""
    if call.is_open or call.epilogue or call.prologue:
        return False
    op, (x, g) = call.op, call.core.inputs
    sizes = x.channels // op.groups, g.channels // op.groups
    return op.groups == 1 or sizes == (1, 1) or all(n % call.machine.lanes == 0 for n in sizes)


FAMILY = Family(candidates, _prefers, lambda call: call.op.pads)


def _kernel(call: Call[Correlate]) -> Kernel:
    return Kernel("correlate", call.step_weights(), _Correlation(call).write)


@dataclass(frozen=True)
class _Correlation:
    """The loops for a call."""

    call: Call[Correlate]

    @property
    def is_depthwise(self) -> bool:
        op = self.call.op
        return op.groups > 1 and self.call.x.channels == op.groups

    @property
    def has_offsets(self) -> bool:
        """Whether the columns of a tile are offsets."""
        return bool(self.call.op.kernel) and (self.is_depthwise or self.call.x.block == 1)

    def write(self, body: Body) -> None:
        """All of the result."""
        x, op = self.call.x, self.call.op
        if self.is_depthwise:
            self._tasks(body, 0, 1, [*range(op.kernel[-1])] if op.kernel else [0])
        elif self.has_offsets:
            self._tasks(body, 0, x.channels, [*range(op.kernel[-1])])
        else:
            whole, rest = divmod(x.channels // op.groups, x.block)
            if whole:
                self._tasks(body, 0, whole, [*range(x.block)])
            if rest:
                self._tasks(body, whole, 1, [*range(rest)])

    def _tasks(self, body: Body, start: int, count: int, columns: Sequence[int]) -> None:
        """Tiles of all filters, and of the blocks of the operand's channels from `start` on."""
        call, op, code = self.call, self.call.op, body.code
        lanes, machine = call.machine.lanes, call.machine
        most = machine.registers - KEPT
        width = evenly(len(columns), WIDEST)
        own = call.output.blocks // (1 if self.is_depthwise else op.groups)
        blocks = largest_divisor(own, most // width)
        kernel = op.kernel[:-1] if self.has_offsets else op.kernel
        tiles, inner = call.output.blocks // blocks, [*kernel]
        divided: list[int] = []
        while inner and tiles * count * math.prod(divided) < ENOUGH * machine.cores:
            divided.append(inner.pop(0))
        with code.parallel(tiles, count, *divided) as (tile, index, *given):
            first = code.name(tile * blocks)
            block = code.name(start + index)
            source = block
            if self.is_depthwise:
                source = first
            elif op.groups > 1:
                group = code.name(div(first, own))
                source = code.name(group * (call.x.blocks // op.groups) + block)
            for begin in range(0, len(columns), width):
                part = columns[begin : begin + width]
                _Tile(self, body, first, blocks, block, source, part, lanes).write(given, inner)


@dataclass(frozen=True)
class _Tile:
    """Filters of `blocks` blocks from number `first` on, and some columns of block `block`.

    That is block `source` of the operand: `block` is counted within its group.
    """

    whole: _Correlation
    body: Body
    first: Expr
    blocks: int
    block: Expr
    source: Expr
    columns: Sequence[int]
    lanes: int

    @property
    def _call(self) -> Call[Correlate]:
        return self.whole.call

    def write(self, given: Sequence[Expr], inner: Sequence[int]) -> None:
        """Sums of all offsets whose first indices are given; `inner` are the further sizes."""
        code, batch = self.body.code, self._call.inputs[1].batch
        spatial = self._call.inputs[1].spatial
        together = batch if math.prod(spatial) * batch <= RUN else 1
        with code.box([range(n) for n in inner]) as rest:
            for place in self._places([*given, *rest]):
                self.body.output.store(code, place, vector(0.0, self.lanes))
        with code.loop(batch // together) as n, code.box([range(k) for k in inner]) as rest:
            offsets = [*given, *rest]
            sums = self._sums(n, together, offsets)
            y = self.body.output
            for place, total in zip(self._places(offsets), sums, strict=True):
                y.store(code, place, y.load(place) + total.value)

    def _places(self, offsets: Sequence[Expr]) -> Iterator[Place]:
        """Where the sums belong: the columns of each block of filters."""
        x = self._call.x
        for b in range(self.blocks):
            for column in self.columns:
                if self.whole.is_depthwise:
                    position = (0, *offsets, column)
                elif self.whole.has_offsets:
                    position = (self.block, *offsets, column)
                else:
                    position = (self.block * x.block + column, *offsets)
                yield Place(0, self.first + b, position[: self._call.output.rank])

    def _sums(self, n: Expr, together: int, offsets: Sequence[Expr]) -> list[Register]:
        """The sums over all positions of some samples, for each place."""
        code, g = self.body.code, self._call.inputs[1]
        zero = vector(0.0, self.lanes)
        count = self.blocks * len(self.columns)
        axes = [together, *g.spatial]
        split = len(axes) - 1
        while split > 0 and math.prod(axes[split - 1 :]) <= RUN:
            split -= 1
        totals = [code.register(zero, self.lanes) for _ in range(count)]
        outer, inner = ([range(size) for size in part] for part in (axes[:split], axes[split:]))
        with code.box(outer) as before:
            parts = totals
            if split:
                parts = [code.register(zero, self.lanes) for _ in range(count)]
            with code.box(inner[:-1]) as middle:
                at = [*before, *middle]
                start = self._bases(n * together, at, offsets)
                with code.loop(axes[-1]) as last:
                    self._add(parts, start, code.base(last))
            if split:
                for total, part in zip(totals, parts, strict=True):
                    code.set(total, total.value + part.value)
        return totals

    def _bases(
        self, n: Expr, at: Sequence[Expr], offsets: Sequence[Expr]
    ) -> tuple[Expr, Expr, int, int]:
        """Where the first position of a run lies in both operands, and the steps of the next."""
        code, op, (x, g) = self.body.code, self._call.op, self._call.inputs
        if not g.rank:
            sample = n
            start = (x.index(sample, self.source, ()), g.index(sample, self.first, ()))
            return code.base(start[0]), code.base(start[1]), x.batch_stride, g.batch_stride
        sample, position = n + at[0], [*at[1:], 0]
        taps = [*offsets, 0] if self.whole.has_offsets else offsets
        axes = zip(position, taps, op.stride, op.dilation, op.pads, strict=True)
        seen = [p * s + o * d - before for p, o, s, d, (before, _) in axes]
        return (
            code.base(x.index(sample, self.source, seen)),
            code.base(g.index(sample, self.first, position)),
            x.strides[-1] * op.stride[-1],
            g.strides[-1],
        )

    def _add(
        self, sums: Sequence[Register], start: tuple[Expr, Expr, int, int], last: Expr
    ) -> None:
        """The products of one position."""
        code, (x, g) = self.body.code, self.body.inputs[:2]
        op, lanes = self._call.op, self.lanes
        from_x, from_g, step_x, step_g = start
        apart = op.dilation[-1] * x.layout.strides[-1] if self.whole.has_offsets else 1
        at_x, at_g = from_x + last * step_x, from_g + last * step_g
        factors = [load(g.buffer, at_g + b * g.layout.plane, lanes) for b in range(self.blocks)]
        for number, column in enumerate(self.columns):
            index = at_x + column * apart
            if self.whole.is_depthwise:
                value = load(x.buffer, index, lanes)
            else:
                value = vector(load(x.buffer, index), lanes)
            for b, factor in enumerate(factors):
                register = sums[b * len(self.columns) + number]
                code.set(register, register.value + factor * value)
