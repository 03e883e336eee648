"""What gradients are made of: sums over the batch and axes, correlations, maps along an axis.

Where operand and result have blocks of the same channels these are vectors; else numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    cast,
    div,
    load,
    maximum,
    minimum,
    vector,
)
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Range, summed
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels import maxpool_gradient, moments
from cnndsl.backends.cpu.kernels.each import each
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import constant
from cnndsl.ir.operators import (
    AxisMap,
    BatchMoment,
    Correlate,
    MaxPoolGradient,
    PositionalCorrelate,
    ReduceTo,
)


def reduce_to(call: Call[ReduceTo]) -> Kernel:
    """Of the axes that are reduced all indices, of the others that of the result."""
    if moments.fits(call):
        return moments.moments(call)
    op, x = call.op, call.x
    kept = (*op.shape, *(1,) * (1 + x.rank - len(op.shape)))
    over_channels = kept[0] == 1 < x.channels
    in_vectors = not over_channels and x.block == call.output.block > 1
    reduced = [n > 1 == size for n, size in zip(x.spatial, kept[1:], strict=True)]
    counts = [n for n, is_reduced in zip(x.spatial, reduced, strict=True) if is_reduced]
    extents = [x.batch] * op.batch + [x.channels] * over_channels + counts
    share = 1 / np.prod(extents, dtype=float) if op.mean else 1.0
    lanes = call.output.block if in_vectors else 1

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        def term(at: tuple[Expr, ...]) -> Expr:
            waiting = iter(at)
            n = next(waiting) if op.batch else place.n
            c = next(waiting) if over_channels else channel
            own = place.position if len(op.shape) > 1 else (0,) * x.rank
            axes = zip(own, reduced, strict=True)
            position = tuple(next(waiting) if is_reduced else i for i, is_reduced in axes)
            if in_vectors:
                return body.inputs[0].load(Place(n, place.block, position))
            return body.inputs[0].channel(n, c, position)

        total = summed(body.code, lanes, [Range.whole(size) for size in extents], term)
        return total * vector(float(share), lanes)

    return each(call, value, in_vectors)


def batch_moment(call: Call[BatchMoment]) -> Kernel:
    """Over the batch and all positions."""
    if moments.fits(call):
        return moments.moments(call)
    x, has_factor = call.x, len(call.core.inputs) > 2
    share = 1 / (x.batch * math.prod(x.spatial)) if call.op.mean else 1.0

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        mean = body.inputs[1]
        centre = body.code.register(mean.channel(0, channel, (0,) * mean.layout.rank)).value

        def term(at: tuple[Expr, ...]) -> Expr:
            centred = body.inputs[0].channel(at[0], channel, at[1:]) - centre
            factor = body.inputs[2].channel(at[0], channel, at[1:]) if has_factor else centred
            return centred * factor

        ranges = [Range.whole(size) for size in (x.batch, *x.spatial)]
        return summed(body.code, 1, ranges, term) * vector(share, 1)

    return each(call, value, False)


def axis_map(call: Call[AxisMap]) -> Kernel:
    """Sums over the indices between the first and the last that a result reads."""
    op, x = call.op, call.x
    n = (x.channels, *x.spatial)[op.axis]
    ends = [(min(p for p, _ in own), max(p for p, _ in own)) if own else (0, 0) for own in op.taps]
    span = max(last - first for first, last in ends) + 1
    firsts = [min(first, n - span) for first, _ in ends]
    table = np.zeros((len(op.taps), span))
    for row, start, own in zip(table, firsts, op.taps, strict=True):
        for place, weight in own:
            row[place - start] += weight
    in_vectors = op.axis > 0 and x.block == call.output.block > 1
    lanes = call.output.block if in_vectors else 1

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        index = [channel, *place.position]
        result = index[op.axis]
        first = body.code.name(cast(load(body.weights["first"], result), "int32", 1))

        def term(at: tuple[Expr, ...]) -> Expr:
            own = [*index[: op.axis], first + at[0], *index[op.axis + 1 :]]
            weight = load(body.weights["taps"], result * span + at[0])
            if in_vectors:
                source = replace(place, position=tuple(own[1:]))
                return body.inputs[0].load(source) * vector(weight, lanes)
            return body.inputs[0].channel(place.n, own[0], own[1:]) * weight

        return summed(body.code, lanes, [Range.whole(span)], term)

    return each(call, value, in_vectors, first=constant(firsts), taps=constant(table))


def correlate(call: Call[Correlate]) -> Kernel:
    """Over the batch and the positions whose windows have the offset within the input."""
    op, (x, g) = call.op, call.inputs
    filters, own = g.channels // op.groups, x.channels // op.groups
    in_vectors = op.groups == 1 and g.block == call.output.block > 1
    lanes = call.output.block if in_vectors else 1

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        code = body.code
        inner, *offsets = place.position
        c = code.name(div(channel, filters) * own + inner) if op.groups > 1 else inner

        def term(at: tuple[Expr, ...]) -> Expr:
            n, *position = at
            axes = zip(position, offsets, op.stride, op.dilation, op.pads, strict=True)
            seen = [p * s + o * r - before for p, o, s, r, (before, _) in axes]
            factor = body.inputs[0].channel(n, c, seen)
            if in_vectors:
                given = body.inputs[1].load(Place(n, place.block, tuple(position)))
                return given * vector(factor, lanes)
            return body.inputs[1].channel(n, channel, position) * factor

        ranges = [Range.whole(g.batch), *_within(call, code, offsets)]
        return summed(code, lanes, ranges, term)

    return each(call, value, in_vectors)


def _within(call: Call[Correlate], code: Code, offsets: Sequence[Expr]) -> list[Range]:
    """The positions p of each axis for which p * stride + offset * dilation lies in the input."""
    op, (x, g) = call.op, call.inputs
    found = []
    axes = zip(offsets, x.spatial, g.spatial, op.stride, op.dilation, op.pads, strict=True)
    for o, n, results, s, r, (before, _) in axes:
        start = before - o * r
        first = code.name(div(maximum(start, 0) + (s - 1), s))
        end = minimum(div(maximum(start + (n - 1 + s), 0), s), results)
        found.append(Range(first, code.name(maximum(end - first, 0)), results))
    return found


def positional_correlate(call: Call[PositionalCorrelate]) -> Kernel:
    """Over the batch and the positions of a tile."""
    op, g = call.op, call.inputs[1]
    filters, own = g.channels // op.groups, call.x.channels // op.groups

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        code = body.code
        tile, (patch, *offsets) = place.position[: g.rank], place.position[g.rank :]
        for offset, size in zip(offsets, op.kernel, strict=True):
            patch = patch * size + offset
        if op.groups > 1:
            patch = code.name(div(channel, filters) * own + patch)
        ranges = [Range.whole(g.batch)]
        for t, period, n in zip(tile, op.tiles, g.spatial, strict=True):
            count = code.name(div(maximum(n + (period - 1) - t, 0), period))
            ranges.append(Range(0, count, -(-n // period)))

        def term(at: tuple[Expr, ...]) -> Expr:
            axes = zip(at[1:], tile, op.tiles, strict=True)
            position = [j * period + t for j, t, period in axes]
            factor = body.inputs[0].channel(at[0], patch, position)
            return body.inputs[1].channel(at[0], channel, position) * factor

        return summed(code, 1, ranges, term)

    return each(call, value, False)


FAMILIES: Makers = {
    ReduceTo: reduce_to,
    BatchMoment: batch_moment,
    AxisMap: axis_map,
    Correlate: correlate,
    PositionalCorrelate: positional_correlate,
    MaxPoolGradient: maxpool_gradient.maxpool_gradient,
}
