"""Which kernels compute an operator: one file for each family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Halo, Layout
from cnndsl.backends.cpu.kernels import (
    attention,
    backward,
    channels,
    correlate,
    elementwise,
    moves,
    plain,
    pooling,
    resize,
    squeeze_excite,
    transposed,
)
from cnndsl.backends.cpu.kernels.amx import family as amx
from cnndsl.backends.cpu.kernels.codes import family as codes
from cnndsl.backends.cpu.kernels.codes.operators import Coded
from cnndsl.backends.cpu.kernels.direct.family import FAMILY as DIRECT
from cnndsl.backends.cpu.kernels.direct.few import FAMILY as FEW
from cnndsl.backends.cpu.kernels.family import Candidate, Family, Makers, by_turns
from cnndsl.backends.cpu.kernels.grouped.family import FAMILY as GROUPED
from cnndsl.backends.cpu.kernels.groupwise import family as groupwise
from cnndsl.backends.cpu.kernels.kernel import ZERO, Call, Kernel
from cnndsl.backends.cpu.kernels.winograd.family import FAMILY as WINOGRAD
from cnndsl.backends.native.packing import Weight
from cnndsl.ir.algebra import constant
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, ConvTranspose, Correlate, FullyConnected
from cnndsl.ir.part import Chain
from cnndsl.ir.types import UINT8

FAMILIES: Makers = {
    **elementwise.FAMILIES,
    **channels.FAMILIES,
    **groupwise.FAMILIES,
    **attention.FAMILIES,
    **codes.FAMILIES,
    **backward.FAMILIES,
    **moves.FAMILIES,
    **pooling.FAMILIES,
    **plain.FAMILIES,
    **resize.FAMILIES,
    **squeeze_excite.FAMILIES,
}


FAST: dict[type[Operator], tuple[tuple[Family, ...], ...]] = {
    Conv: ((FEW,), (GROUPED,), (amx.SHORT, WINOGRAD, DIRECT)),
    ConvTranspose: ((transposed.FAMILY,),),
    Correlate: ((correlate.FAMILY,),),
    FullyConnected: ((amx.SHORT, DIRECT),),
    Coded: ((codes.DEPTHWISE,), (codes.GROUPED,), (codes.WINOGRAD,), (amx.CODED, codes.WORDS)),
}
"""Faster families, each of which may decline: those of the first group that takes a call serve it.

Within a group the first that prefers its kernel comes first.
"""


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """The faster kernels for a call, the one first that the cost models choose; there may be none.

    Families that serve a call equally well take turns.
    """
    for group in FAST.get(type(call.op), ()):
        families = sorted(group, key=lambda family: not family.prefers(call))
        found = False
        for candidate in by_turns([family.candidates(call) for family in families]):
            found = True
            make = partial(_made, candidate, call.output)
            yield replace(candidate, make=make) if call.output.is_codes else candidate
        if found:
            return


def family_of(call: Call[Any]) -> Family | None:
    """The faster family that is the best for a call, its prologue and its pool, if there is one."""
    families = (family for group in FAST.get(type(call.op), ()) for family in group)
    return next((family for family in families if family.prefers(call)), None)


def read_halo(call: Call[Any]) -> Halo:
    """The zeros that the kernel for a call needs around its first operand; () if none."""
    family = family_of(call)
    return family.halo(call) if family else ()


def has_variants(node: Chain[Any]) -> bool:
    """Whether the core of a node or a call has faster kernels to choose from."""
    return type(node.op) in FAST


def choose(call: Call[Any]) -> Kernel:
    """The kernel for a call: its variant, if it names one, else that of the cost models."""
    named = (c for c in candidates(call) if c.name == call.variant) if call.variant else iter(())
    best = next(named, None) or next(candidates(call), None)
    if best:
        return best.make()
    kernel = FAMILIES[type(call.op)](call)
    return _knowing_zero(kernel, call.output) if call.output.is_codes else kernel


def _made(candidate: Candidate, output: Layout) -> Kernel:
    return _knowing_zero(candidate.make(), output)


def _knowing_zero(kernel: Kernel, output: Layout) -> Kernel:
    """A kernel that is told which code stands for zero in its result."""
    zero = Weight(constant([output.zero]), UINT8)
    return replace(kernel, weights={**kernel.weights, ZERO: zero})
