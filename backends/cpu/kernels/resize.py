"""Maps of another size: weighted sums of the elements at the taps, which tables hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.native.task import tap_tables
from cnndsl.ir.operators import Resize


def resize(call: Call[Resize]) -> Kernel:
    """By vectors of channels, or number by number where maps are plain."""
    tables, counts = tap_tables(call.op, call.core.inputs[0], call.core.output)

    def write(body: Body) -> None:
        if call.x.block == call.output.block:
            for place in body.vectors(range(0)):
                body.write(place, _total(body, counts, place, None))
            return
        with body.scalars() as (place, channel):
            body.write(place, _total(body, counts, place, channel))

    return Kernel("resize", {**tables, **call.step_weights()}, write)


def _total(body: Body, counts: Sequence[int], place: Place, channel: Expr | None) -> Expr:
    """The sum over the taps of all axes: of a whole block, unless a channel is given."""
    x, lanes = body.inputs[0], place.lanes(body.output.layout)
    axes = [
        [_tap(body, axis, index * count + tap, count) for tap in range(count)]
        for axis, (index, count) in enumerate(zip(place.position, counts, strict=True))
    ]

    def behind(position: tuple[Expr, ...]) -> Expr:
        if len(position) == len(axes):
            if channel is not None:
                return x.channel(place.n, channel, position)
            return x.load(replace(place, position=position))
        total = None
        for at, weight in axes[len(position)]:
            term = behind((*position, at))
            term = term if weight is None else term * vector(weight, lanes)
            total = term if total is None else total + term
        return total

    return behind(())


def _tap(body: Body, axis: int, index: Expr, count: int) -> tuple[Expr, Expr | None]:
    """The position of a tap and its weight; a single one has none."""
    at = body.code.name(cast(load(body.weights[f"places{axis}"], index), "int32", 1))
    if count == 1:
        return at, None
    return at, body.code.register(load(body.weights[f"weights{axis}"], index)).value


FAMILIES: Makers = {Resize: resize}
