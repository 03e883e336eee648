"""Convolutions on codes in groups that fit a vector, which give as many outputs as they read.

A block of outputs reads the block of codes of its number. Word j of each group is repeated for all
outputs of the group, and serves every position of the kernel that it meets in a row. Groups of
fewer channels than a word has share words; the weights of each other's channels are zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, load, shuffled, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.slabs import Slabs
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.codes.words import WORD, Products
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped.depthwise import (
    kernel_rows,
    reached_outputs,
    row_pieces,
)
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces
from cnndsl.backends.native.packing import INT8, Weight
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import concat, pad, reshape, slice_axis, take, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """The kernel, if it serves a call."""
    if _takes(call):
        yield Candidate("grouped words", partial(_kernel, call))


def _takes(call: Call[Any]) -> bool:
    """Whether groups make as many channels as they read, and divide the vector width."""
    lanes = call.machine.lanes
    if not is_linear(call) or not call.x.block == call.output.block == lanes or lanes % WORD:
        return False
    op, channels = call.op.quantised.op, call.x.channels
    is_grouped = isinstance(op, Conv) and op.groups > 1 and op.filters == channels
    return is_grouped and lanes % (channels // op.groups) == 0


FAMILY = Family(candidates, _takes, padding)


@dataclass(frozen=True)
class GroupedWords:
    """The convolution of a layer, row by row of outputs in some pieces."""

    layer: Layer
    op: Conv
    products: Products
    pieces: Pieces | OpenPieces

    @property
    def _lanes(self) -> int:
        return self.products.lanes

    @property
    def _width(self) -> int:
        """Channels of a group, or of groups that share a word."""
        return max(WORD, self.layer.plain.x.channels // self.op.groups)

    @property
    def _panel(self) -> int:
        """Weights of a position of the kernel for a block of outputs."""
        return self._width * self._lanes

    def weight(self) -> Expression:
        """[filters/lanes, *kernel, words of a group, parts, lanes, 4/parts]."""
        own, lanes, width = self.products, self._lanes, self._width
        weight = dense_weight(self.layer.plain)
        filters, _, *kernel = weight.shape
        blocks, words = -(-filters // lanes), width // WORD
        missing = ((0, blocks * lanes - filters), *((0, 0),) * (1 + len(kernel)))
        whole = in_words(pad(weight, missing))
        ordered = take(reshape(whole, (blocks, lanes, words, WORD, *kernel)), 3, own.order)
        split = reshape(ordered, (blocks, lanes, words, own.parts, own.width, *kernel))
        return transpose(split, (0, *range(5, 5 + len(kernel)), 2, 3, 1, 4))

    def write(self, body: Body) -> None:
        """All outputs."""
        code, call = body.code, self.layer.call
        slabs = Slabs(call.output, call.machine.cores)
        with (
            code.share(call.machine.cores, *slabs.tasks) as (_, n, slab, block),
            slabs.rows(code, slab) as row,
        ):
            body.clear_halo(n, block, row)
            for first, count in self.pieces.walk(code):
                corner = Place(n, block, (*row, first))
                for column, total in enumerate(self._tile(body, corner, count)):
                    self.layer.store(body, Place(n, block, (*row, first + column)), total)

    def _tile(self, body: Body, corner: Place, columns: int) -> list[Expr]:
        """The sums of some outputs of a row from `corner` on."""
        code, own, x, lanes = body.code, self.products, body.inputs[0], self._lanes
        start = self.layer.bias(body, corner.block)
        totals = [code.register(start, lanes, "int32") for _ in range(columns)]
        taps = math.prod(self.op.kernel)
        reached = reached_outputs(self.op, columns)
        for index, number in kernel_rows(code, self.op, x, corner.n, corner.block, corner.position):
            first = code.base((corner.block * taps + number) * self._panel)
            for j in range(self._width // WORD):
                factors = self._weights(body, first + j * (WORD * lanes))
                for position, outputs in reached:
                    words = self._words(x.buffer, index + position * lanes, j)
                    parts = own.divided(code, words)
                    for column, tap in outputs:
                        for part, factor in zip(parts, factors[tap], strict=True):
                            own.add(code, totals[column], part, factor)
        return [total.value for total in totals]

    def _weights(self, body: Body, first: Expr) -> list[list[Expr]]:
        """Those of each position of a row of the kernel, part by part, from an index on."""
        own, code, weight = self.products, body.code, body.weights["weight"]
        size = own.lanes * own.width
        return [
            [
                own.weights(code, weight, first + tap * self._panel + part * size)
                for part in range(own.parts)
            ]
            for tap in range(self.op.kernel[-1])
        ]

    def _words(self, buffer: Any, index: Expr, j: int) -> Expr:
        """Word j of the group of each lane, of the block of codes at an index."""
        lanes, width = self._lanes, self._width
        if width == lanes:
            return vector(tirx.reinterpret("int32", load(buffer, index + j * WORD, WORD)), lanes)
        words = tirx.reinterpret(f"int32x{lanes // WORD}", load(buffer, index, lanes))
        return shuffled(
            [words] * WORD, [(lane // width * width) // WORD + j for lane in range(lanes)]
        )


def in_words(weight: Expression) -> Expression:
    """A weight [filters, channels of a group, *kernel] of as many channels as filters for a group.

    Groups that share words get a weight for each channel of these.
    """
    filters, width, *kernel = weight.shape
    if width >= WORD:
        return weight
    rest = ((0, 0),) * len(kernel)
    groups = reshape(weight, (filters // WORD, WORD // width, width, width, *kernel))
    parts = []
    for group in range(WORD // width):
        sides = (group * width, WORD - (group + 1) * width)
        own = slice_axis(groups, 1, group, group + 1)
        parts.append(pad(own, ((0, 0), (0, 0), (0, 0), sides, *rest)))
    return reshape(concat(parts, 1), (filters, WORD, *kernel))


def _kernel(call: Call[Any]) -> Kernel:
    products = Products.of(call.machine)
    layer, op = Layer(call, products.offset), call.op.quantised.op
    held = op.kernel[-1] * products.parts
    pieces = row_pieces(call.output.spatial[-1], call.machine, held)
    grouped = GroupedWords(layer, op, products, pieces)
    weights = {"weight": Weight(grouped.weight(), INT8), **layer.weights()}
    return Kernel("grouped words", weights, grouped.write)
