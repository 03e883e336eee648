"""Fully connected layers, radial basis functions, flatten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Code, Layer, Own, Slot, X, call, code, expression, module
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Flatten, FullyConnected, RadialBasis
from cnndsl.ir.part import Part


def fully_connected(part: Part[FullyConnected]) -> Layer:
    """Of the operand as a vector."""
    op = part.op
    inputs = Slot("inputs", part.inputs[0].elements)
    made = call("nn.Linear", inputs, Slot("units", op.units), bias=(op.bias, True))
    return module(made, starts=True, result=_of_vector(part))


def radial_basis(part: Part[RadialBasis]) -> Layer:
    """Squared distances to fixed centres."""
    made = call(
        "RadialBasis", Slot("inputs", part.inputs[0].elements), Slot("units", part.op.units)
    )
    return module(made, starts=True, result=_of_vector(part))


def _of_vector(part: Part[Any]) -> Code:
    if part.inputs[0].rank == 0:
        return (Own(), "(", X, ")")
    return (Own(), "(", *code("{x.}.flatten(1)"), ")")


def flatten(part: Part[Flatten]) -> Layer:
    """Channel by channel."""
    return expression("{x.}.flatten(1)")


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    FullyConnected: fully_connected,
    RadialBasis: radial_basis,
    Flatten: flatten,
}
