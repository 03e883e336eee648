"""Products of two maps, and sums weighted by a softmax of operands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from operator import add, mul

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    div,
    exponential,
    larger,
    load,
    mod,
    number,
    split,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import nominal
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Range
from cnndsl.backends.cpu.kernels.direct.products import LONG, Totals, add_in_parts
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import pieces_of, ranked_tiles
from cnndsl.ir.operators import MatMul, MatMulTransposed, SoftmaxSum
from cnndsl.ir.operators.attention import MatrixProduct


def matrix_product(call: Call[MatrixProduct]) -> Kernel:
    """The vectors of a matrix's column lie side by side, or are brought to scratch memory first."""
    columns = call.core.inputs[1].channels
    lanes, blocks = call.output.block, call.output.blocks
    transposed = call.op.transposed
    scratch = call.output.batch * blocks * columns * lanes if transposed else 0

    def write(body: Body) -> None:
        if transposed:
            _transpose(body, blocks, columns)
        _multiply(body, columns)

    return Kernel("attention", call.step_weights(), write, scratch)


def _position(body: Body, flat: Expr) -> tuple[Expr, ...]:
    """The position of the first operand with a number."""
    spatial = body.call.x.spatial
    return tuple(split(flat, spatial)) if spatial else ()


def _transpose(body: Body, blocks: int, columns: int) -> None:
    """Of the first operand [columns, rows] into scratch memory [batch, blocks, columns, lanes]."""
    code, a, lanes = body.code, body.inputs[0], body.call.output.block
    rows = body.call.output.channels
    with code.parallel(a.layout.batch, blocks) as (n, block), code.loop(lanes) as lane:
        row = code.name(block * lanes + lane)
        inside = rows % lanes == 0 or row < rows
        position = _position(body, row if rows % lanes == 0 else tirx.min(row, rows - 1))
        position = tuple(code.name(index) for index in position)
        with code.loop(columns) as column:
            value = a.channel(n, column, position)
            value = value if inside is True else tirx.Select(inside, value, number(0.0))
            start = (n * blocks + block) * (columns * lanes) + column * lanes
            code.store(body.scratch, start + lane, value)


def _multiply(body: Body, channels: int) -> None:
    """Tiles of output blocks and neighbouring columns, as for a convolution of one position."""
    code, call, y = body.code, body.call, body.output.layout
    lanes = y.block
    *outer, columns = y.spatial or (1,)
    tile = ranked_tiles(call.machine, y.blocks, nominal(columns), exact=True)[0]
    with code.parallel(y.batch, *outer, y.blocks // tile.blocks) as (n, *row, part):
        first = code.name(part * tile.blocks)
        for index in range(tile.blocks):
            body.clear_halo(n, first + index, row)
        for column, width in pieces_of(columns, tile.columns).walk(code):
            places = [(*row, column + i) if y.spatial else () for i in range(width)]
            totals = [
                [code.register(vector(0.0, lanes), lanes) for _ in range(tile.blocks)]
                for _ in places
            ]

            products = partial(_add_products, body, n, first, places)
            add_in_parts(code, totals, [Range.whole(channels)], 1, LONG, products)
            for place, own in zip(places, totals, strict=True):
                for index, total in enumerate(own):
                    body.write(
                        Place(n, first + index, place), _used(body, first + index, total.value)
                    )


def _add_products(
    body: Body,
    n: Expr,
    first: Expr,
    places: Sequence[tuple[Expr, ...]],
    totals: Totals,
    at: Sequence[Expr],
) -> None:
    """Add the products of one channel of the second operand to the totals of all places."""
    code, b, lanes = body.code, body.inputs[1], body.call.output.block
    block, lane = code.name(div(at[0], lanes)), code.name(mod(at[0], lanes))
    factors = [_column(body, n, first + i, at[0]) for i in range(len(totals[0]))]
    for place, own in zip(places, totals, strict=True):
        x = vector(b.load(Place(n, block, place, lane)), lanes)
        for factor, total in zip(factors, own, strict=True):
            code.set(total, total.value + x * factor)


def _column(body: Body, n: Expr, block: Expr, column: Expr) -> Expr:
    """The numbers of a block of the matrix's rows in one column."""
    if body.scratch is None:
        return body.inputs[0].load(Place(n, block, _position(body, column)))
    layout, channels = body.call.output, body.call.core.inputs[1].channels
    start = ((n * layout.blocks + block) * channels + column) * layout.block
    return load(body.scratch, start, layout.block)


def _used(body: Body, block: Expr, value: Expr) -> Expr:
    """Zeros in lanes that hold no channel."""
    layout = body.call.output
    rest = layout.channels % layout.block
    if not rest or layout.block == 1:
        return value
    lanes = tirx.Ramp(block * layout.block, 1, layout.block)
    unused = lanes >= tirx.Broadcast(tirx.const(layout.channels, "int32"), layout.block)
    return tirx.Select(unused, vector(0.0, layout.block), value)


def softmax_sum(call: Call[SoftmaxSum]) -> Kernel:
    """Scores are shifted by the largest against overflow."""
    half, lanes = len(call.core.inputs) // 2, call.output.block

    def write(body: Body) -> None:
        for place in body.vectors():
            operands = [
                body.code.register(body.repeated(x, place), lanes).value
                for x in body.inputs[: 2 * half]
            ]
            values, scores = operands[:half], operands[half:]
            largest = reduce(lambda so_far, score: larger(score, so_far, lanes), scores)
            largest = body.code.register(largest, lanes).value
            powers = [
                body.code.register(exponential(score - largest, lanes), lanes).value
                for score in scores
            ]
            body.write(place, reduce(add, map(mul, values, powers)) / reduce(add, powers))

    return Kernel("attention", call.step_weights(), write)


FAMILIES: Makers = {
    MatMul: matrix_product,
    MatMulTransposed: matrix_product,
    SoftmaxSum: softmax_sum,
}
