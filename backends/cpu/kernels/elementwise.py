"""Element by element, with positions that are picked: identity, subsample, upsample.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, div, load
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import Identity, Subsample, Upsample


def _kernel(call: Call[Any], source: Callable[[int, Expr], Expr]) -> Kernel:
    """y[position] = x[source of the index on each axis]."""

    def write(body: Body) -> None:
        with body.vectors() as place:
            position = tuple(source(axis, index) for axis, index in enumerate(place.position))
            body.write(place, body.read(Place(place.n, place.block, position)))

    def write_between_layouts(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            body.write(place, x.channel(place.n, channel, place.position))

    same = all(x.block == call.output.block for x in call.inputs)
    return Kernel("elementwise", call.step_weights(), write if same else write_between_layouts)


def identity(call: Call[Any]) -> Kernel:
    """y = x, also from one layout to another."""
    if call.x.block == call.output.block == 1 and not call.epilogue and call.output.rank:
        return Kernel("elementwise", {}, _copy_rows)
    return _kernel(call, lambda axis, index: index)


def _copy_rows(body: Body) -> None:
    """y = x, both plain: whole vectors of neighbouring columns, then what is left."""
    code, x, y, lanes = body.code, body.inputs[0], body.output, body.call.machine.lanes
    *outer, columns = y.layout.spatial
    vectors, rest = divmod(columns, lanes)
    with code.parallel(y.layout.batch, y.layout.channels, *outer) as (n, c, *row):
        body.clear_halo(n, c, row)
        source, target = (t.layout.index(n, c, (*row, 0)) for t in (x, y))
        for first, count, width in ((0, vectors, lanes), (vectors * lanes, rest, 1)):
            with code.loop(count) as index:
                offset = first + index * width
                value = load(x.buffer, source + offset, width)
                code.store(y.buffer, target + offset, value, width)


def subsample(call: Call[Subsample]) -> Kernel:
    """Every stride-th position."""
    stride = call.op.stride
    return _kernel(call, lambda axis, index: index * stride[axis])


def upsample(call: Call[Upsample]) -> Kernel:
    """Every position `factor` times on each axis."""
    factor = call.op.factor
    return _kernel(call, lambda axis, index: div(index, factor[axis]))


FAMILIES: Makers = {Identity: identity, Subsample: subsample, Upsample: upsample}
