"""Sums and means over axes and the batch, and maps along an axis, which gradients are made of."""

from __future__ import annotations

import math

from cnndsl.autodiff.rules.linear import transposed
from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.operators import AxisMap, ReduceTo
from cnndsl.ir.operators.backward import Taps


def reduce_to(step: Step, op: ReduceTo) -> None:
    """g for every element that was added up, over their number if it was a mean."""
    build, x = step.build, step.x
    found = build.repeated(step.gradient, x.type.sizes)
    if op.mean:
        count = math.prod(x.type.sizes) // math.prod(op.shape)
        found = build.scaled(found, 1 / count)
    if op.batch and x.type.batched:
        found = build.product(found, build.share(x) if op.mean else build.ones(x))
    step.give(0, found)


def axis_map(step: Step, op: AxisMap) -> None:
    """The transposed map."""
    taps: list[Taps] = [tuple(((place, 1.0),) for place in range(n)) for n in step.x.type.sizes]
    taps[op.axis] = op.taps
    transposed(step, taps)


RULES: Rules = {ReduceTo: reduce_to, AxisMap: axis_map}
