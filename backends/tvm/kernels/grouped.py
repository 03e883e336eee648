"""Depthwise and narrowly grouped convolution: one vector of channels at a time.

A block of output channels reads the same block of input channels if the groups have as many
inputs as outputs and divide the vector width. Lane l of output block b then needs, for input j
of its group of size s, lane (l // s) * s + j of input block b: a permutation of one vector. With
s = 1, depthwise convolution, there is nothing to permute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.tiles import Pieces
from cnndsl.backends.tvm.tir import Expr, Register, load, vector
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

SPARE = 4
"""Registers that are not running totals: weights, an input, a permutation."""


def grouped(call: Call) -> Kernel | None:
    """The kernel, or None where groups and vectors do not fit."""
    op, lanes = call.core, call.machine.lanes
    assert isinstance(op, Conv)
    width = call.x.channels // op.groups
    same_blocks = call.x.block == call.output.block == lanes
    fits = op.groups > 1 and op.filters == call.x.channels and lanes % width == 0
    if not fits or not same_blocks or call.prologue:
        return None
    weights = {"weight": _packed(conv_weight(call), lanes), **call.weights()}
    if op.bias:
        missing = call.output.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))
    pieces = Pieces.of(call.output.spatial[-1], call.machine.registers - SPARE)

    def write(body: Body) -> None:
        with body.rows(body.output.layout) as (n, block, row):
            body.clear_halo(n, block, row)
            for first, columns in pieces.walk(body.code):
                _tile(body, op, width, n, block, [*row, first], columns)

    return Kernel("grouped", weights, write)


def _packed(weight: Expression, lanes: int) -> Expression:
    """[filters/lanes, *kernel, channels of a group, lanes], filled up with zeros."""
    filters, width, *kernel = weight.shape
    blocks = -(-filters // lanes)
    full = pad(weight, ((0, blocks * lanes - filters), *((0, 0),) * (1 + len(kernel))))
    split_up = reshape(full, (blocks, lanes, width, *kernel))
    return transpose(split_up, (0, *range(3, 3 + len(kernel)), 2, 1))


def _tile(
    body: Body, op: Conv, width: int, n: Expr, block: Expr, corner: Sequence[Expr], columns: int
) -> None:
    """One row of outputs of one block; `corner` is the first."""
    code, lanes, x = body.code, body.output.layout.block, body.inputs[0]
    bias = body.weights.get("bias")
    start = vector(0.0, lanes) if bias is None else load(bias, block * lanes, lanes)
    totals = [code.register(start, lanes) for _ in range(columns)]
    *outer, across = op.kernel
    taps = math.prod(op.kernel)
    with code.box([range(k) for k in outer]) as offsets:
        axes = zip(corner[:-1], offsets, op.stride, op.dilation, op.pads, strict=False)
        rows = [i * s + o * d - before for i, o, s, d, (before, _) in axes]
        number: Expr = 0
        for offset, size in zip(offsets, outer, strict=True):
            number = number * size + offset
        weights = code.name((block * taps + number * across) * (width * lanes))
        first = corner[-1] * op.stride[-1] - op.pads[-1][0]
        index = code.name(x.layout.index(n, block, [*rows, first]))
        for tap in range(across):
            for j in range(width):
                weight = load(body.weights["weight"], weights + (tap * width + j) * lanes, lanes)
                _multiply(body, op, width, j, index + tap * op.dilation[-1] * lanes, weight, totals)
    for column, total in enumerate(totals):
        place = Place(n, block, (*corner[:-1], corner[-1] + column))
        body.write(place, total.value)


def _multiply(
    body: Body,
    op: Conv,
    width: int,
    j: int,
    index: Expr,
    weight: Expr,
    totals: Sequence[Register],
) -> None:
    """Add to all columns the products of the inputs j of all groups with their weights."""
    code, lanes = body.code, body.output.layout.block
    for column, total in enumerate(totals):
        inputs = load(body.inputs[0].buffer, index + column * op.stride[-1] * lanes, lanes)
        if width > 1:
            order = [tirx.const(lane // width * width + j, "int32") for lane in range(lanes)]
            inputs = tirx.Shuffle([inputs], order)
        code.set(total, total.value + inputs * weight)
