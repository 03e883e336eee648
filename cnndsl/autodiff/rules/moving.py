"""Elements in another order and several operands as one, whose gradients are the way back."""

from __future__ import annotations

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.operators import (
    Concat,
    ConcatPositions,
    Crop,
    Flatten,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Shuffle,
    Slice,
)


def reshape(step: Step, op: Flatten | Reshape) -> None:
    """The shape that it was."""
    step.give(0, step.build.reshaped(step.gradient, step.x.type.sizes))


def permute(step: Step, op: Permute) -> None:
    """The inverse order."""
    back = tuple(op.axes.index(axis) for axis in range(len(op.axes)))
    step.give(0, step.build.add(Permute(back), step.gradient))


def shuffle(step: Step, op: Shuffle) -> None:
    """As many groups as they had channels."""
    back = Shuffle(step.x.type.channels // op.groups)
    step.give(0, step.build.add(back, step.gradient))


def pixel_shuffle(step: Step, op: PixelShuffle) -> None:
    """Blocks become channels again."""
    step.give(0, step.build.add(PixelUnshuffle(op.factor, op.order), step.gradient))


def pixel_unshuffle(step: Step, op: PixelUnshuffle) -> None:
    """Channels become blocks again."""
    step.give(0, step.build.add(PixelShuffle(op.factor, op.order), step.gradient))


def concat(step: Step, op: Concat) -> None:
    """To each operand the gradient of its channels."""
    start = 0
    for index, operand in enumerate(step.operands):
        stop = start + operand.type.channels
        if step.wants(index):
            step.give(index, step.build.add(Slice(start, stop), step.gradient))
        start = stop


def beside(step: Step, op: ConcatPositions) -> None:
    """To each operand the gradient of its positions."""
    along, rank = op.axis(step.x.type.rank), step.x.type.rank
    start, whole = 0, step.node.type.sizes[1 + along]
    for index, operand in enumerate(step.operands):
        stop = start + operand.type.sizes[1 + along]
        if step.wants(index):
            sides = [(0, 0)] * rank
            sides[along] = (start, whole - stop)
            step.give(index, step.build.add(Crop(sides=tuple(sides)), step.gradient))
        start = stop


RULES: Rules = {
    Flatten: reshape,
    Reshape: reshape,
    Permute: permute,
    Shuffle: shuffle,
    PixelShuffle: pixel_shuffle,
    PixelUnshuffle: pixel_unshuffle,
    Concat: concat,
    ConcatPositions: beside,
}
