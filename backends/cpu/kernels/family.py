"""What a family of kernels offers for a call: the kernel of its cost model, and variants of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

from cnndsl.backends.cpu.codegen.layout import Halo
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv

FARTHEST = 12
"""How far down the lists of the cost model variants are looked for, in all."""


Makers: TypeAlias = dict[type[Operator], Callable[[Call[Any]], Kernel]]
"""The kernels of operators that have one each."""


@dataclass(frozen=True)
class Candidate:
    """A kernel that can compute a call. Its name is that of no other candidate for the call."""

    name: str
    make: Callable[[], Kernel]


def read_pads(call: Call[Any]) -> Halo:
    """The padding of a convolution that reads the operand; () if none does.

    A prologue is applied to a copy of the operand, unless it starts with the convolution.
    """
    first = call.parts[0].op
    return first.pads if isinstance(first, Conv) else ()


@dataclass(frozen=True)
class Family:
    """Kernels of one kind.

    `candidates` gives those that can compute a call, the best of the cost model first, or none.
    `prefers` tells whether that one is better than what other families have, for the prologue and
    the pool of the call too, wherever the operand has the zeros around it that `halo` tells.
    """

    candidates: Callable[[Call[Any]], Iterator[Candidate]]
    prefers: Callable[[Call[Any]], bool]
    halo: Callable[[Call[Any]], Halo] = read_pads


def by_rank(*choosers: Callable[..., Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """One choice of each chooser, those first whose ranks have the smallest sum.

    A chooser is given the choices of those before it, and ranks what is left to choose from. So
    the best of all comes first, then what differs from it in one respect.
    """
    for total in range(FARTHEST):
        yield from _of_rank(total, choosers, ())


def _of_rank(
    total: int, choosers: Sequence[Callable[..., Sequence[Any]]], chosen: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    """Those whose ranks sum up to `total`."""
    if not choosers:
        if total == 0:
            yield chosen
        return
    for rank, option in enumerate(choosers[0](*chosen)[: total + 1]):
        yield from _of_rank(total - rank, choosers[1:], (*chosen, option))


def by_turns(offers: Sequence[Iterator[Candidate]]) -> Iterator[Candidate]:
    """The first of each, then the second of each, and so on."""
    for turn in zip_longest(*offers):
        yield from (candidate for candidate in turn if candidate is not None)
