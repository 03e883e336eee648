"""Largest elements, which get the whole gradient, and Euclidean norms of windows."""

from __future__ import annotations

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.formula import OTHER, X, number, select
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import (
    AdaptiveMaxPool,
    AxisMap,
    ChannelMax,
    GlobalMaxPool,
    L2Pool,
    Maxout,
    MaxPool,
    MaxPoolGradient,
)
from cnndsl.ir.operators.backward import Taps


def maxpool(step: Step, op: MaxPool) -> None:
    """To the first of the largest elements of each window."""
    step.give(0, step.build.add(MaxPoolGradient(op), step.x, step.gradient))


def global_maxpool(step: Step, op: GlobalMaxPool) -> None:
    """A window of all positions."""
    x = step.x.type
    g = step.build.reshaped(step.gradient, (x.channels, *(1,) * x.rank))
    step.give(0, _of_windows(step, step.x, g, x.sizes[1:]))


def channel_max(step: Step, op: ChannelMax) -> None:
    """A window of all channels, which become positions."""
    channels = step.x.type.channels
    step.give(0, _of_channels(step, channels))


def maxout(step: Step, op: Maxout) -> None:
    """Windows of some channels, which become positions."""
    step.give(0, _of_channels(step, op.pieces))


def _of_channels(step: Step, pieces: int) -> Node:
    """The gradient of the largest of runs of channels."""
    build, shape = step.build, step.x.type.sizes
    columns = step.x.type.elements // shape[0]
    x = build.reshaped(step.x, (1, shape[0], columns))
    g = build.reshaped(step.gradient, (1, shape[0] // pieces, columns))
    return build.reshaped(_of_windows(step, x, g, (pieces, 1)), shape)


def _of_windows(step: Step, x: Node, g: Node, kernel: tuple[int, ...]) -> Node:
    """The gradient of a max pool whose windows lie side by side."""
    pool = MaxPool(kernel).bind([x.type])
    return step.build.add(MaxPoolGradient(pool), x, g)


def adaptive_maxpool(step: Step, op: AdaptiveMaxPool) -> None:
    """Windows side by side, of elements that are repeated so that all windows are as long."""
    build, x = step.build, step.x
    sizes, longest = x.type.sizes[1:], []
    maps: list[Taps] = []
    for n, outputs in zip(sizes, op.size, strict=True):
        windows = [op.window(j, n, outputs) for j in range(outputs)]
        longest.append(max(b - a for a, b in windows))
        places = (min(a + k, b - 1) for a, b in windows for k in range(longest[-1]))
        maps.append(tuple(((place, 1.0),) for place in places))
    for axis, taps in enumerate(maps, start=1):
        x = build.add(AxisMap(axis, taps), x)
    found = _of_windows(step, x, step.gradient, tuple(longest))
    for axis, (taps, n) in enumerate(zip(maps, sizes, strict=True), start=1):
        back = tuple(tuple((j, 1.0) for j, ((i, _),) in enumerate(taps) if i == place)
                     for place in range(n))  # fmt: skip
        found = build.add(AxisMap(axis, back), found)
    step.give(0, found)


def l2pool(step: Step, op: L2Pool) -> None:
    """x times the sum of g / y over the windows that hold it, 0 / 0 being 0."""
    build = step.build
    ratio = build.join(select(0, OTHER, number(0), X / OTHER), step.gradient, step.y)
    step.give(0, build.product(step.x, window_sums_back(step, op, ratio)))


def window_sums_back(step: Step, op: L2Pool, g: Node) -> Node:
    """The gradient of the sums of the windows."""
    for axis, n in enumerate(step.x.type.sizes[1:]):
        before, k, s = op.pads[axis][0], op.kernel[axis], op.strides[axis]
        results = range(step.node.type.sizes[1 + axis])
        taps = tuple(
            tuple((j, 1.0) for j in results if 0 <= place - (j * s - before) < k)
            for place in range(n)
        )
        g = step.build.add(AxisMap(1 + axis, taps), g)
    return g


RULES: Rules = {
    MaxPool: maxpool,
    GlobalMaxPool: global_maxpool,
    AdaptiveMaxPool: adaptive_maxpool,
    ChannelMax: channel_max,
    Maxout: maxout,
    L2Pool: l2pool,
}
