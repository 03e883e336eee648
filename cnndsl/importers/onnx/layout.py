"""Which elements of a node an ONNX tensor has where: axes made of factors.

Reshape, Transpose, Flatten, Squeeze and Unsqueeze compute nothing, and most of them cancel. A
tensor is a node and a layout: for each axis of the tensor the factors of which its index is made,
the slowest first. A factor is a part of the index of one axis of the node. The channel shuffle
of ShuffleNet has the factors (groups, rest) of axis 0 the other way round, a channels-last tensor
has the channels as its last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from cnndsl.importers.onnx.refusal import Refusal, unsupported
from cnndsl.ir.dims import Dim, OpenDim, times

BATCH_AXIS = -1
BATCH = OpenDim.symbol("batch")
"""The size of the batch axis in shapes that a model computes."""


@dataclass(frozen=True)
class Factor:
    """A part of the index of an axis of a node: the index is the sum of digit * step."""

    axis: int
    size: Dim
    step: int = 1

    def split(self, outer: int) -> tuple[Factor, Factor]:
        """The slow part, of a size that divides, and the fast one."""
        assert isinstance(self.size, int)
        inner = self.size // outer
        return replace(self, size=outer, step=self.step * inner), replace(self, size=inner)


Axis: TypeAlias = tuple[Factor, ...]
Layout: TypeAlias = tuple[Axis, ...]

BATCH_FACTOR = Factor(BATCH_AXIS, BATCH)


def natural(shape: Sequence[Dim]) -> Layout:
    """The layout [batch, *shape] of a node."""
    axes = (normal([Factor(axis, size)]) for axis, size in enumerate(shape))
    return ((BATCH_FACTOR,), *axes)


def normal(factors: Sequence[Factor]) -> Axis:
    """The same index in as few factors as possible."""
    merged: list[Factor] = []
    for factor in factors:
        if factor.size == 1:
            continue
        last = merged[-1] if merged else None
        if last and last.axis == factor.axis and last.step == _reach(factor):
            assert isinstance(last.size, int)
            assert isinstance(factor.size, int)
            merged[-1] = replace(factor, size=last.size * factor.size)
        else:
            merged.append(factor)
    return tuple(merged)


def _reach(factor: Factor) -> int | None:
    return factor.size * factor.step if isinstance(factor.size, int) else None


def size_of(axis: Axis) -> Dim:
    """The size of an axis. Raises Refusal if it is a product of sizes that are not all known."""
    if len(axis) == 1:
        return axis[0].size
    if BATCH_FACTOR in axis:
        others = size_of(tuple(factor for factor in axis if factor != BATCH_FACTOR))
        if isinstance(others, int):
            return BATCH * others
        raise Refusal("E0804", "the batch and an axis of open size are one axis")
    sizes = [factor.size for factor in axis]
    if any(isinstance(size, OpenDim) for size in sizes):
        raise unsupported("an axis is a product of open sizes", "give the inputs known sizes")
    return math.prod(size for size in sizes if isinstance(size, int))


def apart(layout: Layout) -> Layout:
    """The layout with what is in the axis of the batch beside it as an axis of its own."""
    (batch, *more), *rest = layout
    return ((batch,), tuple(more), *rest) if more else layout


def together(layout: Layout) -> Layout:
    """The layout with its second axis in that of the batch."""
    return ((*layout[0], *layout[1]), *layout[2:])


def batch_first(layout: Layout) -> list[int]:
    """The order of axes in which that of the batch comes first, if there is one."""
    axes = range(len(layout))
    return sorted(axes, key=lambda axis: layout[axis][:1] != (BATCH_FACTOR,))


def sizes_of(layout: Layout) -> tuple[Dim, ...]:
    """The shape of the tensor, `BATCH` for the batch."""
    return tuple(map(size_of, layout))


def permuted(layout: Layout, order: Sequence[int]) -> Layout:
    """Axis i of the result is axis order[i]. Raises Refusal."""
    if sorted(order) != list(range(len(layout))):
        raise Refusal("E0801", f"{list(order)} is no order of {len(layout)} axes")
    return tuple(layout[axis] for axis in order)


def reshaped(layout: Layout, target: Sequence[Dim], batch: int | None) -> Layout | None:
    """The layout after Reshape to a target, in which -1 stands for what is left.

    `batch` is the declared number of samples, which a target may have instead of `BATCH`. Other
    axes may go into that of the batch. None if an axis of the result is no product of whole factors
    of axes.
    """
    factors = [factor for axis in layout for factor in axis]
    sizes: list[Dim] = list(target)
    if sizes.count(-1) > 1:
        raise Refusal("E0801", "a shape has more than one -1")
    samples = _samples(sizes[0], batch) if sizes else None
    if factors[:1] == [BATCH_FACTOR] and samples is not None:
        inner = reshaped((tuple(factors[1:]),), [samples, *sizes[1:]], None)
        if inner is not None:
            return ((BATCH_FACTOR, *inner[0]), *inner[1:])
    if -1 not in sizes:
        axes, rest = _taken(factors, sizes)
        return None if axes is None or normal(rest) else axes
    place = sizes.index(-1)
    front, rest = _taken(factors, sizes[:place])
    if front is None:
        return None
    back, rest = _taken(rest, sizes[:place:-1], back=True)
    return None if back is None else (*front, normal(rest), *reversed(back))


def _samples(size: Dim, batch: int | None) -> int | None:
    """How many samples are one of the first axis of a target, if its size says so."""
    if isinstance(size, int):
        if batch and size > 0 and size % batch == 0:
            return size // batch
        return 1 if size == 1 else None
    (_, count), *_ = size.terms
    return count if count > 0 and size == BATCH * count else None


def _taken(
    factors: Sequence[Factor], sizes: Sequence[Dim], *, back: bool = False
) -> tuple[Layout | None, list[Factor]]:
    """Axes of the given sizes from the front of some factors, or the back, and what is left.

    None instead of the axes if a size ends within a factor that it does not divide.
    """
    waiting = list(factors)
    axes: list[Axis] = []
    for size in sizes:
        axis: list[Factor] = []
        rest = size
        while rest != 1 and waiting:
            head = waiting.pop(-1 if back else 0)
            if isinstance(rest, OpenDim) or isinstance(head.size, OpenDim):
                factor = times(rest, head.size)
                if not factor:
                    return None, []
                rest = factor
            elif rest % head.size == 0:
                rest //= head.size
            elif head.size % rest == 0:
                slow, fast = head.split(head.size // rest if back else rest)
                head, left = (fast, slow) if back else (slow, fast)
                waiting.insert(len(waiting) if back else 0, left)
                rest = 1
            else:
                return None, []
            axis.append(head)
        if rest != 1:
            return None, []
        axes.append(normal(axis[::-1] if back else axis))
    return tuple(axes), waiting
