"""Kernels that compute each number of a result by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.expressions import Expression

Value = Callable[[Body, Place, Expr], Expr]
"""What belongs at a place: of a channel, or of a block that begins with that channel."""


def each(call: Call[Any], value: Value, in_vectors: bool, **weights: Expression) -> Kernel:
    """Every number of the result by itself, or in vectors of the channels of a block."""

    def write(body: Body) -> None:
        if in_vectors:
            for place in body.vectors():
                body.write(place, value(body, place, place.block * call.output.block))
        else:
            with body.scalars() as (place, channel):
                body.write(place, value(body, place, channel))

    return Kernel("backward", {**weights, **call.step_weights()}, write)
