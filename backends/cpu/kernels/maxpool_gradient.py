"""The gradient of a max pool by its operand: to the first of the largest elements of a window.

In blocks of channels each window finds that element, and adds its gradient there: a core does all
windows of a map. Otherwise each element looks at the windows that hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    LOWEST,
    Expr,
    all_of,
    as_float,
    div,
    maximum,
    mod,
    vector,
)
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.each import each
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import MaxPoolGradient

MOST_OFFSETS = 16
"""Positions of a window that are written out one by one."""


def maxpool_gradient(call: Call[MaxPoolGradient]) -> Kernel:
    """By windows where all lies in blocks of channels, and nothing lies where the result goes."""
    x, g = call.inputs[:2]
    if {x.block, g.block} != {call.output.block} or call.output.block == 1 or call.in_place:
        return _by_elements(call)
    return Kernel("maxpool_gradient", call.step_weights(), _by_windows)


def _by_windows(body: Body) -> None:
    code, y, g = body.code, body.output, body.inputs[1].layout
    whole = [range(n) for n in y.layout.spatial]
    with code.parallel(y.layout.batch, y.layout.blocks) as (n, block):
        y.clear_halo_once(code, n, block, [])
        with code.box(whole) as position:
            y.store(code, Place(n, block, tuple(position)), y.zeros(y.layout.block))
        with code.box([range(windows) for windows in g.spatial]) as window:
            _give(body, Place(n, block, tuple(window)))
        if body.call.epilogue:
            with code.box(whole) as position:
                place = Place(n, block, tuple(position))
                body.write(place, y.load(place))


def _give(body: Body, window: Place) -> None:
    """Add the gradient of a window where the first of its largest elements is.

    From the last to the first, each element that is as large as those behind it is kept.
    """
    code, y, lanes = body.code, body.output, body.output.layout.block
    (x, g), kernel = body.inputs[:2], body.call.op.op.kernel
    best = code.register(vector(LOWEST, lanes), lanes)
    where = code.register(vector(-1.0, lanes), lanes)
    for offsets in _offsets(code, kernel, backwards=True):
        seen, inside = _seen(body.call, code, window.position, offsets)
        with code.when(inside):
            value = code.register(x.load(replace(window, position=tuple(seen))), lanes).value
            number = vector(as_float(_order(kernel, offsets)), lanes)
            is_larger = value >= best.value
            code.set(where, tirx.Select(is_larger, number, where.value))
            code.set(best, tirx.Select(is_larger, value, best.value))
    given = code.register(g.load(window), lanes).value
    for offsets in _offsets(code, kernel):
        seen, inside = _seen(body.call, code, window.position, offsets)
        with code.when(inside):
            place = replace(window, position=tuple(seen))
            is_here = where.value == vector(as_float(_order(kernel, offsets)), lanes)
            share = tirx.Select(is_here, given, vector(0.0, lanes))
            y.store(code, place, y.load(place) + share)


def _offsets(
    code: Code, kernel: Sequence[int], *, backwards: bool = False
) -> Iterator[Sequence[Expr]]:
    """The positions of a window, in loops if there are many."""
    if math.prod(kernel) <= MOST_OFFSETS:
        yield from sorted(product(*map(range, kernel)), reverse=backwards)
        return
    with code.box([range(k) for k in kernel]) as found:
        sizes = zip(kernel, found, strict=True)
        yield [k - 1 - offset for k, offset in sizes] if backwards else found


def _by_elements(call: Call[MaxPoolGradient]) -> Kernel:
    """Of each window that holds an element its gradient, if that is the first of the largest."""
    pool = call.op.op
    in_vectors = {x.block for x in call.inputs} == {call.output.block} and call.output.block > 1
    lanes = call.output.block if in_vectors else 1
    kernel = [range(k) for k in pool.kernel]

    def value(body: Body, place: Place, channel: Expr) -> Expr:
        code, zero = body.code, vector(0.0, lanes)

        def at(index: int, position: Sequence[Expr]) -> Expr:
            if in_vectors:
                return body.inputs[index].load(replace(place, position=tuple(position)))
            return body.inputs[index].channel(place.n, channel, position)

        total, wins = code.register(zero, lanes), code.register(zero, lanes)
        own = code.register(at(0, place.position), lanes).value
        with code.box(kernel) as offsets:
            window, hit = _window_of(call, code, place, offsets)
            with code.when(hit):
                code.set(wins, vector(1.0, lanes))
                with code.box(kernel) as others:
                    seen, inside = _seen(call, code, window, others)
                    with code.when(inside):
                        other = code.register(at(0, seen), lanes).value
                        later = _order(pool.kernel, others) - _order(pool.kernel, offsets)
                        with code.when(later < 0):
                            code.set(wins, tirx.Select(own > other, wins.value, zero))
                        with code.when(later >= 0):
                            code.set(wins, tirx.Select(own >= other, wins.value, zero))
                code.set(total, total.value + wins.value * at(1, window))
        return total.value

    return each(call, value, in_vectors)


def _order(kernel: Sequence[int], offsets: Sequence[Expr]) -> Expr:
    """The number of an offset in the order of a window."""
    found: Expr = 0
    for size, offset in zip(kernel, offsets, strict=True):
        found = found * size + offset
    return found


def _window_of(
    call: Call[MaxPoolGradient], code: Code, place: Place, offsets: Sequence[Expr]
) -> tuple[list[Expr], Expr]:
    """The window that has a position at an offset, and whether there is one."""
    pool = call.op.op
    window, hits = [], []
    sizes = call.inputs[1].spatial
    axes = zip(place.position, offsets, pool.strides, pool.dilations, pool.pads, sizes, strict=True)
    for i, o, s, d, (before, _), n in axes:
        start = code.name(i + before - o * d)
        whole = code.name(div(maximum(start, 0), s))
        hits += [start >= 0, mod(maximum(start, 0), s) == 0, whole < n]
        window.append(whole)
    return window, all_of(hits)


def _seen(
    call: Call[MaxPoolGradient], code: Code, window: Sequence[Expr], offsets: Sequence[Expr]
) -> tuple[list[Expr], Expr]:
    """The position that a window has at an offset, and whether it lies in the input."""
    pool = call.op.op
    seen, conditions = [], []
    sizes = zip(call.x.spatial, call.inputs[1].spatial, pool.kernel, strict=True)
    axes = zip(window, offsets, pool.strides, pool.dilations, pool.pads, sizes, strict=True)
    for w, o, s, d, (before, _), (size, windows, k) in axes:
        place = code.name(w * s + (o * d - before))
        least, most = (o, o) if isinstance(o, int) else (0, k - 1)
        if least * d < before:
            conditions.append(place >= 0)
        if (windows - 1) * s + most * d - before >= size:
            conditions.append(place < size)
        seen.append(place)
    return seen, all_of(conditions)
