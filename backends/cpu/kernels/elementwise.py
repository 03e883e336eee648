"""Element by element: identities, of which functions of single elements are the epilogues.

And values that do not depend on an operand.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, load
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.operators import ConstantValue, Fixed, Identity, LearnedValue


def identity(call: Call[Any]) -> Kernel:
    """y = x, also from one layout to another."""

    def write(body: Body) -> None:
        for place in body.vectors():
            body.write(place, body.read(place))

    def write_between_layouts(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            body.write(place, x.channel(place.n, channel, place.position))

    same = all(x.block == call.output.block for x in call.inputs)
    return Kernel("elementwise", call.step_weights(), write if same else write_between_layouts)


def fixed(call: Call[Fixed]) -> Kernel:
    """A value that lies in the layout of the result, without its halo."""
    y, value = call.output, call.core.params["value"]
    filled = pad(value, ((0, y.blocks * y.block - y.channels), *((0, 0),) * y.rank))
    axes = (0, *range(2, 2 + y.rank), 1)
    packed = transpose(reshape(filled, (y.blocks, y.block, *y.spatial)), axes)

    def write(body: Body) -> None:
        for place in body.vectors():
            index: Expr = place.block
            for position, size in zip(place.position, y.spatial, strict=True):
                index = index * size + position
            body.write(place, load(body.weights["value"], index * y.block, place.lanes(y)))

    return Kernel("elementwise", {"value": packed, **call.step_weights()}, write)


FAMILIES: Makers = {Identity: identity, ConstantValue: fixed, LearnedValue: fixed}
