"""Vectors whose lanes are channels of several blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.backends.cpu.codegen.expressions import Expr, shuffled
from cnndsl.backends.cpu.codegen.layout import Place, Tensor

Source = tuple[int, int]
"""Number of a tensor, channel."""


def gathered(
    tensors: Sequence[Tensor], place: Place, sources: Sequence[Source | None], zeros: Expr
) -> Expr:
    """The vector of the block that `place` names by a number.

    Channel c of the result is `sources[c]`; where it is None, lanes are those of `zeros`, a vector.
    All tensors have blocks of its size.
    """
    lanes = tensors[0].layout.block
    own = sources[place.block * lanes : (place.block + 1) * lanes]
    own = [*own, *[None] * (lanes - len(own))]
    if not any(own):
        return zeros
    read: dict[Source | None, int] = {}
    order = []
    for source in own:
        key = source and (source[0], source[1] // lanes)
        first = read.setdefault(key, len(read) * lanes)
        order.append(first + (source[1] % lanes if source else 0))
    vectors = [tensors[key[0]].load(replace(place, block=key[1])) if key else zeros for key in read]
    if order == list(range(lanes)):
        return vectors[0]
    return shuffled(vectors, order)
