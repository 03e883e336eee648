"""Element by element: identities, of which functions of single elements are the epilogues.

And values that do not depend on an operand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, load
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.operators import Cast, ConstantValue, Fixed, Identity, LearnedValue


def identity(call: Call[Any]) -> Kernel:
    """y = x, also from one layout to another."""

    def write(body: Body) -> None:
        for place in body.vectors():
            body.write(place, body.read(place))

    def write_into_blocks(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            body.write(place, x.channel(place.n, channel, place.position))

    def write_from_blocks(body: Body) -> None:
        """A row of a block is read once from memory, and for its other channels from caches."""
        (x,), code = body.inputs, body.code
        with body.rows(x.layout) as (n, block, outer), code.loop(x.layout.block) as lane:
            channel = code.name(block * x.layout.block + lane)
            with code.when(channel < x.layout.channels):
                body.clear_halo(n, channel, outer)
                with code.loop(x.layout.spatial[-1]) as column:
                    source = Place(n, block, (*outer, column), lane=lane)
                    body.write(replace(source, block=channel, lane=None), x.load(source))

    if all(x.block == call.output.block for x in call.inputs):
        return Kernel("elementwise", call.step_weights(), write)
    from_blocks = call.output.block == 1 and call.output.spatial
    writes = write_from_blocks if from_blocks else write_into_blocks
    return Kernel("elementwise", call.step_weights(), writes)


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


FAMILIES: Makers = {Cast: identity, Identity: identity, ConstantValue: fixed, LearnedValue: fixed}
