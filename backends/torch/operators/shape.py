"""Selection and reordering of channels; what passes a value on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Operand, expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Identity, PadChannels, Shuffle, Slice
from cnndsl.ir.part import Part


def pad_channels(part: Part[PadChannels]) -> Layer:
    """Zeros behind the channels."""
    (x,) = part.inputs
    pads = (0, 0) * x.rank + (0, part.op.channels - x.channels)
    return expression("F.pad({x}, {pads})", pads=pads)


def shuffle(part: Part[Shuffle]) -> Layer:
    """The channels as a matrix, transposed."""
    template = "{x.}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)"
    return expression(template, groups=part.op.groups)


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    Identity: lambda part: Layer((Operand(0),)),
    Slice: lambda part: expression(
        "{x.}[:, {start}:{stop}]", start=part.op.start, stop=part.op.stop
    ),
    PadChannels: pad_channels,
    Shuffle: shuffle,
}
