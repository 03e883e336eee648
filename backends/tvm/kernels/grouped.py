"""Depthwise and narrowly grouped convolution: one vector of channels at a time.

A block of output channels reads the same block of input channels if the groups have as many
inputs as outputs and divide the vector width. Lane l of output block b then needs, for input j
of its group of size s, lane (l // s) * s + j of input block b: a permutation of one vector. With
s = 1, depthwise convolution, there is nothing to permute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from cnndsl.backends.tvm import tirx
from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.family import Candidate, Family
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.tiles import Pieces
from cnndsl.backends.tvm.tir import Expr, Register, load, vector
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

SPARE = 4
"""Registers that are neither running totals nor hold weights or permuted inputs."""
FEWEST_COLUMNS = 6
"""Of a tile at least: as many sums as a core has under way."""


def candidates(call: Call) -> Iterator[Candidate]:
    """Kernels with tiles of different widths; none where groups and vectors do not fit."""
    op, lanes = call.core, call.machine.lanes
    assert isinstance(op, Conv)
    width = call.x.channels // op.groups
    same_blocks = call.x.block == call.output.block == lanes
    narrow = width == 1 or (width < lanes and lanes % width == 0)
    fits = op.groups > 1 and op.filters == call.x.channels and narrow
    if not fits or not same_blocks or call.prologue:
        return
    for pieces in _pieces(call, op, width):
        yield Candidate(f"grouped {pieces.width}", partial(_kernel, call, op, width, pieces))


FAMILY = Family(candidates)


def _pieces(call: Call, op: Conv, width: int) -> list[Pieces]:
    """The tiles of a row: as few as the registers allow, then those of nearly that number."""
    registers, columns = call.machine.registers, call.output.spatial[-1]
    held = op.kernel[-1] * width + width if width > 1 else 0
    best = Pieces.of(columns, max(FEWEST_COLUMNS, registers - SPARE - held))
    counts = sorted(range(1, columns + 1), key=lambda count: abs(count - best.count))
    found = {best.width: best}
    for count in counts:
        pieces = Pieces.in_parts(columns, count)
        if pieces.width < registers:
            found.setdefault(pieces.width, pieces)
    return list(found.values())


def _kernel(call: Call, op: Conv, width: int, pieces: Pieces) -> Kernel:
    """Row by row in such pieces; `width` channels belong to a group."""
    lanes = call.machine.lanes
    weights = {"weight": _packed(conv_weight(call), lanes), **call.weights()}
    if op.bias:
        missing = call.output.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))

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
        index = x.layout.index(n, block, [*rows, first])
        _multiply(body, op, width, code.base(index), code.base(weights), totals)
    for column, total in enumerate(totals):
        place = Place(n, block, (*corner[:-1], corner[-1] + column))
        body.write(place, total.value)


def _multiply(
    body: Body, op: Conv, width: int, index: Expr, weights: Expr, totals: Sequence[Register]
) -> None:
    """Add the products of one row of the kernel, each input position with all outputs it reaches.

    `index` is that of the first input, `weights` that of the row's first weight.
    """
    code, lanes = body.code, body.output.layout.block
    taps, stride, dilation = op.kernel[-1], op.stride[-1], op.dilation[-1]
    reached: dict[int, list[tuple[int, int]]] = {}
    for column in range(len(totals)):
        for tap in range(taps):
            reached.setdefault(column * stride + tap * dilation, []).append((column, tap))
    for position, pairs in sorted(reached.items()):
        inputs = load(body.inputs[0].buffer, index + position * lanes, lanes)
        for j in range(width):
            value = inputs
            if width > 1:
                order = [tirx.const(lane // width * width + j, "int32") for lane in range(lanes)]
                value = code.register(tirx.Shuffle([inputs], order), lanes).value
            for column, tap in pairs:
                weight = load(body.weights["weight"], weights + (tap * width + j) * lanes, lanes)
                code.set(totals[column], totals[column].value + value * weight)
