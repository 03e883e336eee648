"""Normalisation and softmax: statistics of groups, through which every element acts on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.formula import OTHER, X, maximum, parameter, power, select, sqrt
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import (
    AxisMap,
    BatchMoment,
    BatchNormalise,
    ChannelMean,
    GroupNorm,
    InstanceNorm,
    L2Normalise,
    LayerNorm,
    LocalResponseNorm,
    LogSoftmax,
    ReduceTo,
    RmsNorm,
    Softmax,
    Square,
    Subtract,
)

Reduce = Callable[[Node], Node]
"""The mean, or the sum, of each group."""


def _standardised(step: Step, eps: float, x: Node, g: Node, mean: Reduce) -> tuple[Node, Node]:
    """The gradient by x of y = (x - m) / sqrt(v + eps), r (g - mean(g) - y mean(g y)), and y.

    r is 1 / sqrt(v + eps). Source: Ioffe and Szegedy (2015), section 3, in another form.
    """
    build = step.build
    centred = build.add(Subtract(), x, mean(x))
    variance = mean(build.add(Square(), centred))
    factor = build.function(1 / sqrt(X + eps), variance)
    y = build.product(centred, factor)
    along = build.product(y, mean(build.product(g, y)))
    return build.product(factor, build.add(Subtract(), g, mean(g), along)), y


def batch_normalise(step: Step, op: BatchNormalise) -> None:
    """With y = (x - m) r, r = 1 / sqrt(v + eps): w r (g - mean(g) - y mean(g y)).

    By the weight sum(g y), by the bias sum(g). Source: Ioffe and Szegedy (2015), section 3. All
    that there is of the size of x is x and g, each read once for the sums and once for the result.
    """
    build, g = step.build, step.gradient
    x, mean, variance = step.values
    total = build.reduced(g, (x.type.channels,), mean=True, batch=True)
    moment = build.add(BatchMoment(mean=True), x, mean, g)
    factor = build.function(1 / sqrt(X + op.eps), variance)
    if step.wants("weight"):
        step.give("weight", build.product(moment, factor, build.count(x)))
    if step.wants("bias"):
        step.give("bias", build.product(total, build.count(x)))
    if step.wants(0):
        slope = build.product(moment, factor, factor)
        scale = build.function(X * parameter("weight"), factor, step.node.params)
        along = build.product(build.add(Subtract(), x, mean), slope)
        rest = build.add(Subtract(), build.join(OTHER - X, along, g), total)
        step.give(0, build.product(rest, scale))


def _of_groups(
    step: Step, op: LayerNorm | InstanceNorm | GroupNorm, view: Sequence[int], group: Sequence[int]
) -> None:
    """Of x in the shape `view`, whose statistics have the shape `group`."""
    build, shape = step.build, step.x.type.sizes

    def mean(a: Node) -> Node:
        return build.reduced(a, group, mean=True)

    g = step.gradient
    if op.affine:
        g = build.function(X * parameter("weight"), g, step.node.params)
    x, g = build.reshaped(step.x, view), build.reshaped(g, view)
    found, y = _standardised(step, op.eps, x, g, mean)
    step.give(0, build.reshaped(found, shape))
    _affine(step, build.reshaped(y, shape))


def _affine(step: Step, y: Node) -> None:
    """The gradients by the scale and the shift of y."""
    channels = (step.x.type.channels,)
    if step.wants("weight"):
        step.give_sum("weight", step.build.product(step.gradient, y), channels)
    if step.wants("bias"):
        step.give_sum("bias", step.gradient, channels)


def layer_norm(step: Step, op: LayerNorm) -> None:
    """Groups are the positions."""
    shape = step.x.type.sizes
    _of_groups(step, op, shape, (1, *shape[1:]))


def instance_norm(step: Step, op: InstanceNorm) -> None:
    """Groups are the maps."""
    shape = step.x.type.sizes
    _of_groups(step, op, shape, (shape[0],))


def group_norm(step: Step, op: GroupNorm) -> None:
    """Groups are runs of channels, at all positions."""
    elements = step.x.type.elements // op.groups
    _of_groups(step, op, (op.groups, elements), (op.groups, 1))


def _shortened(step: Step, op: RmsNorm | L2Normalise, factor: Node, inner: Reduce) -> None:
    """Of y = x f: f (g - y inner(g y))."""
    build, g = step.build, step.gradient
    if op.is_weighted:
        g = build.function(X * parameter("weight"), g, step.node.params)
    y = build.product(step.x, factor)
    along = build.product(y, inner(build.product(g, y)))
    step.give(0, build.product(factor, build.add(Subtract(), g, along)))
    _affine(step, y)


def rms_norm(step: Step, op: RmsNorm) -> None:
    """Groups are the positions."""
    build, group = step.build, (1, *step.x.type.sizes[1:])

    def mean(a: Node) -> Node:
        return build.reduced(a, group, mean=True)

    factor = build.function(1 / sqrt(X + op.eps), mean(build.add(Square(), step.x)))
    _shortened(step, op, factor, mean)


def l2_normalise(step: Step, op: L2Normalise) -> None:
    """Where the length is below eps, x is divided by a constant."""
    build, group = step.build, (1, *step.x.type.sizes[1:])
    square = build.reduced(build.add(Square(), step.x), group)
    factor = build.function(1 / maximum(sqrt(X), op.eps), square)
    longer = build.function(select(op.eps, sqrt(X), 0, 1), square)
    _shortened(step, op, factor, lambda a: build.product(build.reduced(a, group), longer))


def local_response_norm(step: Step, op: LocalResponseNorm) -> None:
    """Of y = x d^-beta: g d^-beta - 2 alpha beta x window(g x d^(-beta-1))."""
    build, x, g = step.build, step.x, step.gradient
    channels, reach = x.type.channels, op.size // 2
    near = (range(max(c - reach, 0), min(c + reach + 1, channels)) for c in range(channels))
    window = AxisMap(0, tuple(tuple((c, 1.0) for c in own) for own in near))
    squares = build.add(window, build.add(Square(), x))
    base = X * op.alpha + op.k
    direct = build.product(g, build.function(power(base, -op.beta), squares))
    inner = build.product(g, x, build.function(power(base, -op.beta - 1), squares))
    spread = build.product(x, build.add(window, inner))
    step.give(0, build.add(Subtract(), direct, build.scaled(spread, 2 * op.alpha * op.beta)))


def _over_channels(step: Step, x: Node) -> Node:
    """The sum of the channels at each position."""
    return step.build.add(ReduceTo((1, *x.type.sizes[1:])), x)


def softmax(step: Step, op: Softmax) -> None:
    """y (g - sum(g y))."""
    build, g, y = step.build, step.gradient, step.y
    total = _over_channels(step, build.product(g, y))
    step.give(0, build.product(y, build.add(Subtract(), g, total)))


def log_softmax(step: Step, op: LogSoftmax) -> None:
    """g - exp(y) sum(g)."""
    build, g = step.build, step.gradient
    shares = build.add(Softmax(), step.x)
    step.give(0, build.join(X - OTHER, g, build.product(shares, _over_channels(step, g))))


def channel_mean(step: Step, op: ChannelMean) -> None:
    """The same share for every channel."""
    repeated = step.build.repeated(step.gradient, step.x.type.sizes)
    step.give(0, step.build.scaled(repeated, 1 / step.x.type.channels))


RULES: Rules = {
    BatchNormalise: batch_normalise,
    LayerNorm: layer_norm,
    InstanceNorm: instance_norm,
    GroupNorm: group_norm,
    RmsNorm: rms_norm,
    L2Normalise: l2_normalise,
    LocalResponseNorm: local_response_norm,
    Softmax: softmax,
    LogSoftmax: log_softmax,
    ChannelMean: channel_mean,
}
