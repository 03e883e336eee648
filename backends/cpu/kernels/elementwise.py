"""Element by element: identities, of which functions of single elements are the epilogues."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import Identity


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


FAMILIES: Makers = {Identity: identity}
