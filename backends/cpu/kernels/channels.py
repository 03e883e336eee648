"""Operators that combine the channels of one position."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, cast, larger, shuffled, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Range, summed
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import ArgMax, LocalResponseNorm, Maxout


def maxout(call: Call[Maxout]) -> Kernel:
    """Largest of each run of channels."""
    op = call.op

    def write(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            values = [
                x.channel(place.n, channel * op.pieces + j, place.position)
                for j in range(op.pieces)
            ]
            body.write(place, _largest(values))

    return Kernel("channels", call.step_weights(), write)


def argmax(call: Call[ArgMax]) -> Kernel:
    """Number of the first channel that no later one exceeds; the first NaN ends the search."""

    def write(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, _):
            largest = code.register(x.channel(place.n, 0, place.position))
            found = code.register(vector(0.0, 1))
            with code.loop(x.layout.channels) as c:
                value = code.register(x.channel(place.n, c, place.position)).value
                more = tirx.any(value > largest.value, tirx.isnan(value))
                exceeds = tirx.all(more, tirx.Not(tirx.isnan(largest.value)))
                with code.when(exceeds):
                    code.set(largest, value)
                    code.set(found, cast(c, "float32", 1))
            body.write(place, found.value)

    return Kernel("channels", call.step_weights(), write)


def _largest(values: list[Expr]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = larger(value, result, 1)
    return result


def local_response_norm(call: Call[LocalResponseNorm]) -> Kernel:
    """x[c] / (k + alpha * the sum of the squares of the neighbouring channels)^beta."""
    op, lanes = call.op, call.output.block
    reach = op.size // 2
    aligned = call.x.block == lanes and call.x.channels % lanes == 0 and reach <= lanes

    def normalised(value: Expr, total: Expr, width: int) -> Expr:
        base = vector(op.k, width) + vector(op.alpha, width) * total
        return value * negative_power(base, op.beta, width)

    def square(value: Expr) -> Expr:
        return value * value

    def write_vectors(body: Body) -> None:
        for place in body.vectors():
            squares = _neighbours(body, place)
            total = body.code.register(vector(0.0, lanes), lanes)
            for shift in range(-reach, reach + 1):
                order = [lanes + lane + shift for lane in range(lanes)]
                body.code.set(total, total.value + shuffled(squares, order))
            body.write(place, normalised(body.inputs[0].load(place), total.value, lanes))

    def write_scalars(body: Body) -> None:
        (x,) = body.inputs
        code = body.code
        with body.scalars() as (place, channel):
            first = code.name(tirx.max(channel - reach, 0))
            last = code.name(tirx.min(channel + reach, x.layout.channels - 1))
            near = Range(first, code.name(last - first + 1), op.size)
            total = summed(
                code, 1, [near], lambda at: square(x.channel(place.n, at[0], place.position))
            )
            body.write(place, normalised(x.load(place), total, 1))

    return Kernel("channels", call.step_weights(), write_vectors if aligned else write_scalars)


def _neighbours(body: Body, place: Place) -> list[Expr]:
    """The squares of the block before a place, of its own, of the one behind; zeros outside."""
    (x,) = body.inputs
    zero = vector(0.0, x.layout.block)
    last = x.layout.blocks - 1
    squares = []
    for block, inside in (
        (tirx.max(place.block - 1, 0), place.block > 0),
        (place.block, True),
        (tirx.min(place.block + 1, last), place.block < last),
    ):
        value = body.code.register(x.load(replace(place, block=block)), x.layout.block).value
        square = value * value if inside is True else tirx.Select(inside, value * value, zero)
        squares.append(body.code.register(square, x.layout.block).value)
    return squares


def negative_power(base: Expr, exponent: float, lanes: int) -> Expr:
    """base^-exponent of a positive base; by square roots if the exponent is 0.75 or 0.5."""
    if exponent == 0.5:
        return vector(1.0, lanes) / tirx.sqrt(base)
    if exponent == 0.75:
        root = tirx.sqrt(base)
        return vector(1.0, lanes) / (root * tirx.sqrt(root))
    return tirx.pow(base, vector(-exponent, lanes))


FAMILIES: Makers = {
    ArgMax: argmax,
    Maxout: maxout,
    LocalResponseNorm: local_response_norm,
}
