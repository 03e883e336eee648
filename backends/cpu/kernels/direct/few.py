"""Convolution to a few filters, whose results lie channel by channel.

In vectors of output channels most lanes would be empty. Where inputs lie in blocks, the lanes of a
sum are channels of the input, and they are added up in the end; plain inputs are read in vectors of
columns. All filters are computed together, since they read the same inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, load, shuffled, vector
from cnndsl.backends.cpu.codegen.extents import nominal
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Range
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.direct.products import LONG, Totals, add_in_parts
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped.depthwise import reached_outputs
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Conv

NARROW = 4
"""Channels of the widest maps that lie channel by channel."""
SUMS = 8
"""Sums that a core has under way, as vectors."""


def is_narrow(channels: int, machine: Machine) -> bool:
    """Whether at most half a vector of so many channels would be filled."""
    return channels <= min(NARROW, machine.lanes // 2)


def gives_plain(node: Node, machine: Machine) -> bool:
    """Whether the kernels here compute a node, into a plain map."""
    op = node.op
    if not isinstance(op, Conv) or op.groups > 1 or not is_narrow(op.filters, machine):
        return False
    columns = node.type.spatial[-1]
    return not (node.prologue or node.pool) and nominal(columns) >= machine.lanes


def candidates(call: Call[Conv]) -> Iterator[Candidate]:
    """The kernel for a call, if its result lies channel by channel."""
    if _fits(call):
        yield Candidate("few", partial(_kernel, call))


def _fits(call: Call[Conv]) -> bool:
    narrow = call.output.block == 1 and is_narrow(call.op.filters, call.machine)
    return narrow and call.op.groups == 1


FAMILY = Family(candidates, _fits)


def _kernel(call: Call[Conv]) -> Kernel:
    weight = dense_weight(call)
    if call.x.block > 1:
        weight = _in_blocks(weight, call.x.block)
    weights = {"weight": weight, **call.step_weights()}
    if call.op.bias:
        weights["bias"] = call.core.params["bias"]
    return Kernel("few", weights, _Few(call, call.op).write)


def _in_blocks(weight: Expression, block: int) -> Expression:
    """[filters, channels/block, *kernel, block], filled up with zeros."""
    filters, channels, *kernel = weight.shape
    full = pad(weight, ((0, 0), (0, -channels % block), *((0, 0),) * len(kernel)))
    split_up = reshape(full, (filters, -(-channels // block), block, *kernel))
    return transpose(split_up, (0, 1, *range(3, 3 + len(kernel)), 2))


@dataclass(frozen=True)
class _Few:
    """The convolution of a call, row by row."""

    call: Call[Any]
    op: Conv

    @property
    def _lanes(self) -> int:
        return self.call.machine.lanes

    @property
    def _slots(self) -> int:
        """The filters, or the power of two above: as many sums there are for each column."""
        return 1 << (self.op.filters - 1).bit_length()

    def write(self, body: Body) -> None:
        """All outputs."""
        code, y, lanes = body.code, body.output.layout, self._lanes
        together = 1 if self.call.x.block > 1 else SUMS // self._slots
        columns, first = y.spatial[-1], 0
        with body.rows(replace(y, channels=1)) as (n, _, row):
            for block in range(y.channels):
                body.clear_halo(n, block, row)
            for width in (together * lanes, lanes, *([1] if self.call.is_open else [])):
                count = (columns - first) // width
                if count != 0:
                    with code.loop(count) as index:
                        column = code.name(first + index * width)
                        self._tile(body, Place(n, 0, (*row, column)), width)
                first += count * width
            if not self.call.is_open and first < columns:
                self._tile(body, Place(n, 0, (*row, first)), columns - first)

    def _tile(self, body: Body, corner: Place, columns: int) -> None:
        """The outputs of some columns of a row from `corner` on."""
        *row, first = corner.position
        sums = self._from_blocks if self.call.x.block > 1 else self._from_plain
        for block, values in enumerate(sums(body, corner, columns)):
            width = min(columns, self._lanes) if columns % self._lanes == 0 else 1
            for index, value in enumerate(values):
                place = Place(corner.n, block, (*row, first + index * width), width=width)
                bias = body.weights.get("bias")
                start = None if bias is None else vector(load(bias, block), width)
                body.write(place, value if start is None else value + start)

    def _from_plain(self, body: Body, corner: Place, columns: int) -> list[list[Expr]]:
        """For each filter its sums, in vectors of columns, or one by one."""
        code, op, x = body.code, self.op, body.inputs[0]
        width = self._lanes if columns % self._lanes == 0 else 1
        filters, starts = range(op.filters), range(0, columns, width)
        zero = vector(0.0, width)
        totals = [[code.register(zero, width) for _ in starts] for _ in filters]

        def add(to: Totals, index: Sequence[Expr]) -> None:
            channel, *offsets = index
            position = code.base(self._position(body, corner, channel, offsets))
            weights = [code.base(self._weight(f, channel, offsets)) for f in filters]
            for tap in range(op.kernel[-1]):
                for number, start in enumerate(starts):
                    place = position + start * op.stride[-1] + tap * op.dilation[-1]
                    value = load(x.buffer, place, width, op.stride[-1])
                    for weight, registers in zip(weights, to, strict=True):
                        factor = vector(load(body.weights["weight"], weight + tap), width)
                        total = registers[number]
                        code.set(total, total.value + value * factor)

        self._add(body, totals, self.call.x.channels, add)
        return [[total.value for total in registers] for registers in totals]

    def _from_blocks(self, body: Body, corner: Place, columns: int) -> list[list[Expr]]:
        """The same where the lanes of inputs are channels: they are added up in the end."""
        lanes, slots = self._lanes, self._slots
        found = []
        for start in range(0, columns, lanes // slots):
            *row, first = corner.position
            place = replace(corner, position=(*row, first + start))
            count = min(lanes // slots, columns - start)
            found.append(self._lane_sums(body, place, count))
        lane = lanes // slots
        places = [
            [(c // lane) * lanes + f * lane + c % lane for c in range(columns)]
            for f in range(self.op.filters)
        ]
        if columns == lanes:
            return [[shuffled(found, order)] for order in places]
        return [[shuffled([found[i // lanes]], [i % lanes]) for i in order] for order in places]

    def _lane_sums(self, body: Body, corner: Place, columns: int) -> Expr:
        """A vector of the sums of each filter for some columns, lanes/slots lanes for each."""
        code, op, x, lanes = body.code, self.op, body.inputs[0], self._lanes
        filters, zero = range(op.filters), vector(0.0, lanes)
        totals = [[code.register(zero, lanes) for _ in range(columns)] for _ in filters]
        whole, rest = divmod(self.call.x.channels, lanes)

        def add(to: Totals, index: Sequence[Expr], own: int = lanes) -> None:
            block, *offsets = index
            position = code.base(self._position(body, corner, block, offsets))
            weights = [code.base(self._weight(f, block, offsets)) for f in filters]
            for distance, outputs in reached_outputs(op, columns):
                value = load(x.buffer, position + distance * lanes, lanes)
                if own < lanes:  # what has no channel may be NaN
                    value = shuffled([value, zero], [i if i < own else lanes for i in range(lanes)])
                value = code.register(value, lanes).value
                for column, tap in outputs:
                    for weight, registers in zip(weights, to, strict=True):
                        factor = load(body.weights["weight"], weight + tap * lanes, lanes)
                        total = registers[column]
                        code.set(total, total.value + value * factor)

        if whole:
            self._add(body, totals, whole, add)
        if rest:
            self._add(body, totals, 1, lambda to, index: add(to, (whole, *index[1:]), rest))
        missing = lanes // self._slots - columns
        vectors = [[*(r.value for r in registers), *[zero] * missing] for registers in totals]
        flat = [value for registers in vectors for value in registers]
        return _across(code, [*flat, *[zero] * (lanes - len(flat))], lanes)

    def _add(self, body: Body, totals: Totals, channels: int, add: Any) -> None:
        """add(sums, (channel or block, *offsets of a kernel's row)) for all of them."""
        axes = [Range.whole(size) for size in (channels, *self.op.kernel[:-1])]
        add_in_parts(body.code, totals, axes, self.op.kernel[-1], LONG, add)

    def _position(self, body: Body, corner: Place, block: Expr, offsets: Sequence[Expr]) -> Expr:
        """Index of the first input that a row of the kernel meets."""
        op = self.op
        axes = zip(corner.position, (*offsets, 0), op.stride, op.dilation, op.pads, strict=True)
        first = [i * s + o * d - before for i, o, s, d, (before, _) in axes]
        return body.inputs[0].layout.index(corner.n, block, first)

    def _weight(self, f: int, block: Expr, offsets: Sequence[Expr]) -> Expr:
        """Index of the first weight of a row of the kernel."""
        x = self.call.x
        number: Expr = f * x.blocks + block
        for offset, size in zip((*offsets, 0), self.op.kernel, strict=True):
            number = number * size + offset
        return number * x.block


def _across(code: Code, vectors: Sequence[Expr], lanes: int) -> Expr:
    """A vector of the sums of the lanes of as many vectors as there are lanes."""
    even, odd = list(range(0, 2 * lanes, 2)), list(range(1, 2 * lanes, 2))
    for _ in range(int(math.log2(lanes))):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        sums = [shuffled(pair, even) + shuffled(pair, odd) for pair in pairs]
        vectors = [code.register(value, lanes).value for value in sums]
    return vectors[0]
