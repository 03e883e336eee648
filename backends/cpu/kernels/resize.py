"""Maps of another size: weighted sums of the elements at the taps, which tables hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import add

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.native.task import tap_tables
from cnndsl.ir.operators import Resize


def resize(call: Call[Resize]) -> Kernel:
    """By vectors of channels, or number by number where maps are plain."""
    known = call.nominal
    tables, counts = tap_tables(known.op, known.core.inputs[0], known.core.output)
    write = partial(_write_alike if call.x.block == call.output.block else _write, counts=counts)
    if call.is_open:
        return Kernel("resize", call.step_weights(), write, tables=tuple(tables))
    return Kernel("resize", {**tables, **call.step_weights()}, write)


def _write_alike(body: Body, counts: Sequence[int]) -> None:
    """The taps of the rows are looked up once for each row."""
    x, y, code = body.inputs[0], body.output.layout, body.code
    with body.rows(y) as (n, block, outer):
        body.clear_halo(n, block, outer)
        rows = [_taps(body, axis, index, counts) for axis, index in enumerate(outer)]
        with code.loop(y.spatial[-1]) as column:
            place = Place(n, block, (*outer, column))
            taps = [*rows, _taps(body, len(outer), column, counts)]

            def load_at(position: tuple[Expr, ...], place: Place = place) -> Expr:
                return x.load(replace(place, position=position))

            body.write(place, _total(taps, y.block, load_at))


def _write(body: Body, counts: Sequence[int]) -> None:
    """From one layout to another."""
    with body.scalars() as (place, channel):
        taps = [_taps(body, axis, index, counts) for axis, index in enumerate(place.position)]
        body.write(place, _total(taps, 1, partial(body.inputs[0].channel, place.n, channel)))


Tap = tuple[Expr, Expr | None]
"""A position, and its weight; a single one has none."""


def _total(
    taps: Sequence[Sequence[Tap]], lanes: int, read: Callable[[tuple[Expr, ...]], Expr]
) -> Expr:
    """The sum over the taps of all axes."""

    def behind(position: tuple[Expr, ...]) -> Expr:
        if len(position) == len(taps):
            return read(position)
        terms = []
        for at, weight in taps[len(position)]:
            term = behind((*position, at))
            terms.append(term if weight is None else term * vector(weight, lanes))
        return reduce(add, terms)

    return behind(())


def _taps(body: Body, axis: int, index: Expr, counts: Sequence[int]) -> list[Tap]:
    """The taps of a result, which the tables have."""
    count, found = counts[axis], []
    for tap in range(count):
        place = index * count + tap
        at = body.code.name(cast(load(body.weights[f"places{axis}"], place), "int32", 1))
        if count == 1:
            return [(at, None)]
        weight = body.code.register(load(body.weights[f"weights{axis}"], place)).value
        found.append((at, weight))
    return found


FAMILIES: Makers = {Resize: resize}
