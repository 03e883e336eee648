"""Element by element, with positions that are picked: identity, subsample, upsample.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.layout import Place
from cnndsl.backends.tvm.tir import Expr, div
from cnndsl.ir.operators import Identity, Subsample, Upsample


def _kernel(call: Call, source: Callable[[int, Expr], Expr]) -> Kernel:
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
    return Kernel("elementwise", call.weights(), write if same else write_between_layouts)


def identity(call: Call) -> Kernel:
    """y = x, also from one layout to another."""
    return _kernel(call, lambda axis, index: index)


def subsample(call: Call) -> Kernel:
    """Every stride-th position."""
    assert isinstance(call.core, Subsample)
    stride = call.core.stride
    return _kernel(call, lambda axis, index: index * stride[axis])


def upsample(call: Call) -> Kernel:
    """Every position `factor` times on each axis."""
    assert isinstance(call.core, Upsample)
    factor = call.core.factor
    return _kernel(call, lambda axis, index: div(index, factor[axis]))


FAMILIES = {Identity: identity, Subsample: subsample, Upsample: upsample}
