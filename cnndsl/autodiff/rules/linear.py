"""Linear maps along each axis alone: pools of means, resize, padding, cropping, slices.

y = (... (x along axis 0) ... along axis n), so the gradient goes through each map transposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AvgPool,
    AxisMap,
    Crop,
    DistanceAvgPool,
    Gathering,
    GlobalAvgPool,
    Pad,
    PadChannels,
    Resize,
    Slice,
)
from cnndsl.ir.operators.backward import Taps
from cnndsl.ir.types import TensorType


def transposed(step: Step, taps: Sequence[Taps]) -> None:
    """The gradient of maps by their taps on each axis, channels first."""
    found = step.gradient
    for axis, (own, n) in enumerate(zip(taps, step.x.type.sizes, strict=True)):
        rows: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        for result, places in enumerate(own):
            for place, weight in places:
                rows[place].append((result, weight))
        if rows != [[(place, 1.0)] for place in range(n)] or len(own) != n:
            found = step.build.add(AxisMap(axis, tuple(map(tuple, rows))), found)
    step.give(0, found)


def _same(n: int) -> Taps:
    return tuple(((place, 1.0),) for place in range(n))


def avgpool(step: Step, op: AvgPool) -> None:
    """Over the elements that count, which are a box."""

    def weights(start: int, end: int, n: int, pads: tuple[int, int]) -> dict[int, float]:
        inside = range(max(start, 0), min(end, n))
        low, high = (-pads[0], n + pads[1]) if op.include_pad else (0, n)
        count = min(end, high) - max(start, low)
        return dict.fromkeys(inside, 1 / count)

    x = step.x.type
    taps = [_same(x.channels)]
    for axis, (n, pads) in enumerate(zip(x.sizes[1:], op.pads, strict=True)):
        starts = _starts(op, step.node.type, axis)
        size = op.kernel[axis]
        taps.append(tuple(tuple(weights(s, s + size, n, pads).items()) for s in starts))
    transposed(step, taps)


def _starts(op: AvgPool | DistanceAvgPool, y: TensorType, axis: int) -> list[int]:
    before, _ = op.pads[axis]
    return [j * op.strides[axis] - before for j in range(y.sizes[1 + axis])]


def distance_avgpool(step: Step, op: DistanceAvgPool) -> None:
    """The weights are a product of those of each axis, and so is their sum within the input."""
    x = step.x.type
    taps = [_same(x.channels)]
    for axis, n in enumerate(x.sizes[1:]):
        k = op.kernel[axis]
        gauss = [math.exp(-((m - (k - 1) / 2) ** 2) / (2 * op.sigma**2)) for m in range(k)]
        rows = []
        for start in _starts(op, step.node.type, axis):
            own = {start + m: gauss[m] for m in range(k) if 0 <= start + m < n}
            total = sum(own.values())
            rows.append(tuple((place, weight / total) for place, weight in own.items()))
        taps.append(tuple(rows))
    transposed(step, taps)


def adaptive_avgpool(step: Step, op: AdaptiveAvgPool) -> None:
    """Means of the windows."""
    x = step.x.type
    taps = [_same(x.channels)]
    for n, outputs in zip(x.sizes[1:], op.size, strict=True):
        windows = [op.window(j, n, outputs) for j in range(outputs)]
        taps.append(tuple(tuple((i, 1 / (b - a)) for i in range(a, b)) for a, b in windows))
    transposed(step, taps)


def global_avgpool(step: Step, op: GlobalAvgPool) -> None:
    """The same share for every position."""
    x = step.x.type
    repeated = step.build.repeated(step.gradient, x.sizes)
    step.give(0, step.build.scaled(repeated, 1 / math.prod(x.sizes[1:])))


def resize(step: Step, op: Resize) -> None:
    """What each result is interpolated between."""
    x, y = step.x.type, step.node.type
    sizes = zip(x.sizes[1:], y.sizes[1:], strict=True)
    maps = (op.taps(axis, n, results) for axis, (n, results) in enumerate(sizes))
    transposed(step, [_same(x.channels), *maps])


def gathering(step: Step, op: Gathering) -> None:
    """Elements go back where they came from; what is repeated is summed up."""
    x, results = step.x.type, step.node.type.sizes
    taps = []
    for axis, (index, n) in enumerate(zip(op.source(x), x.sizes, strict=True)):
        assert index.axes <= {axis}, op
        places = [index.compute([j] * len(results)) for j in range(results[axis])]
        taps.append(tuple(((i, 1.0),) if 0 <= i < n else () for i in places))
    transposed(step, taps)


def crop(step: Step, op: Crop) -> None:
    """Zeros around it."""
    step.give(0, step.build.add(Pad(op.cut), step.gradient))


def pad(step: Step, op: Pad) -> None:
    """Constants have no gradient."""
    if op.mode == "constant":
        step.give(0, step.build.add(Crop(sides=op.pads), step.gradient))
    else:
        gathering(step, op)


def pad_channels(step: Step, op: PadChannels) -> None:
    """That of the channels that were there."""
    step.give(0, step.build.add(Slice(0, step.x.type.channels), step.gradient))


def slice_channels(step: Step, op: Slice) -> None:
    """Zero channels behind it, and before it."""
    if op.start:
        gathering(step, op)
    else:
        step.give(0, step.build.add(PadChannels(step.x.type.channels), step.gradient))


RULES: Rules = {
    AvgPool: avgpool,
    DistanceAvgPool: distance_avgpool,
    AdaptiveAvgPool: adaptive_avgpool,
    GlobalAvgPool: global_avgpool,
    Resize: resize,
    Gathering: gathering,
    Crop: crop,
    Pad: pad,
    PadChannels: pad_channels,
    Slice: slice_channels,
}
