"""Convolutions: by the input a transposed one, by the weight a correlation.

Source: Goodfellow et al., Deep Learning (2016), section 9.5, equations 9.11 and 9.13, with padding,
dilation and groups.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cnndsl.autodiff.step import Rules, Step
from cnndsl.ir.algebra import embed_table, flip, reshape, take, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import (
    AxisMap,
    Conv,
    ConvTranspose,
    Correlate,
    Crop,
    FullyConnected,
    LocalConv,
    PositionalCorrelate,
    TiledConv,
)
from cnndsl.ir.operators.convolution import Table
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import extent


def conv(step: Step, op: Conv) -> None:
    """Tables are dense kernels with zeros, of which the connections are taken at the end."""
    x, g = step.x, step.gradient
    if step.wants(0):
        weight = _dense(step.parameter("weight"), op, x.type.channels)
        step.give(0, _by_operand(step, op, weight))
    if step.wants("weight"):
        dense = step.build.add(
            Correlate(op.kernel, op.strides, op.pads, op.dilation, op.groups), x, g
        )
        step.give("weight", _connections(step, op, dense))
    _bias(step)


def _by_operand(step: Step, op: Conv, weight: Expression) -> Node:
    """The transposed convolution of the gradient, put in the simplest way.

    Of a kernel that covers the whole map it is a product with a matrix. With stride 1 it is a
    convolution with the kernel flipped (Goodfellow et al., equation 9.13).
    """
    build, x, g = step.build, step.operands[0].type, step.gradient
    if op.groups == 1 and op.kernel == x.sizes[1:] and not any(map(any, op.pads)):
        matrix = transpose(reshape(weight, (op.filters, x.elements)), (1, 0))
        dense = FullyConnected(x.elements, bias=False)
        whole = build.add(dense, g, params={"weight": matrix})
        return build.reshaped(whole, x.sizes)
    back = _transposed(op, x, g.type)
    before = [
        extent(k, r) - 1 - b for k, r, (b, _) in zip(op.kernel, op.dilation, op.pads, strict=True)
    ]
    after = [
        extent(k, r) - 1 - a + o
        for k, r, (_, a), o in zip(op.kernel, op.dilation, op.pads, back.output_pad, strict=True)
    ]
    if set(op.strides) != {1} or min(*before, *after) < 0:
        return build.add(back, g, params={"weight": weight})
    pads = tuple(zip(before, after, strict=True))
    plain = Conv(
        x.channels, op.kernel, pad=pads, dilation=op.dilation, groups=op.groups, bias=False
    )
    return build.add(plain, g, params={"weight": _turned(weight, op.groups)})


def _turned(weight: Expression, groups: int) -> Expression:
    """[filters, channels/groups, *kernel] flipped, as [channels, filters/groups, *kernel]."""
    filters, channels, *kernel = weight.shape
    each = reshape(weight, (groups, filters // groups, channels, *kernel))
    turned = transpose(each, (0, 2, 1, *range(3, 3 + len(kernel))))
    own = reshape(turned, (groups * channels, filters // groups, *kernel))
    return flip(own, range(2, 2 + len(kernel)))


def _dense(weight: Expression, op: Conv, channels: int) -> Expression:
    if op.table is not None:
        weight = embed_table(weight, op.table, channels)
    return flip(weight, range(2, len(weight.shape))) if op.flip else weight


def _transposed(op: Any, x: TensorType, y: TensorType) -> ConvTranspose:
    """What gives every position of x the sum of what it was multiplied with."""
    axes = zip(x.sizes[1:], y.sizes[1:], op.kernel, op.strides, op.dilations, op.pads, strict=True)
    left = tuple(
        n + sum(pads) - extent(k, r) - (results - 1) * s for n, results, k, s, r, pads in axes
    )
    groups = getattr(op, "groups", 1)
    return ConvTranspose(
        x.channels, op.kernel, op.strides, op.pads, left, op.dilations, groups, bias=False
    )


def _connections(step: Step, op: Conv, dense: Node) -> Node:
    """The gradient by the parameter, of that by the dense kernel."""
    build = step.build
    filters, channels, *kernel = dense.type.sizes
    if op.flip:
        for axis, size in enumerate(kernel, start=2):
            taps = tuple(((place, 1.0),) for place in reversed(range(size)))
            dense = build.add(AxisMap(axis, taps), dense)
    if op.table is None:
        return dense
    rows = build.reshaped(dense, (filters * channels, *kernel))
    places = (row * channels + c for row, own in enumerate(op.table) for c in own)
    return build.add(AxisMap(0, tuple(((place, 1.0),) for place in places)), rows)


def _bias(step: Step) -> None:
    if step.wants("bias"):
        step.give_sum("bias", step.gradient, step.parameter("bias").shape)


def conv_transpose(step: Step, op: ConvTranspose) -> None:
    """A convolution of the gradient, cut off where nothing of the operand reaches."""
    x = step.x
    pads = tuple((b, max(a - o, 0)) for (b, a), o in zip(op.pads, op.output_pad, strict=True))
    beyond = tuple((0, max(o - a, 0)) for (_, a), o in zip(op.pads, op.output_pad, strict=True))
    g = step.gradient
    if any(map(any, beyond)):
        g = step.build.add(Crop(sides=beyond), g)
    if step.wants(0):
        back = Conv(x.type.channels, op.kernel, op.stride, pads, op.dilation, op.groups, bias=False)
        step.give(0, step.build.add(back, g, params={"weight": step.parameter("weight")}))
    if step.wants("weight"):
        weight = Correlate(op.kernel, op.stride, pads, op.dilation, op.groups)
        step.give("weight", step.build.add(weight, g, x))
    _bias(step)


def positional(step: Step, op: LocalConv | TiledConv) -> None:
    """On patches, which are channels: a product of matrices at each position."""
    x, g = step.x.type, step.gradient
    tiles = op.tiles([x])
    table = op.table if isinstance(op, LocalConv) else None
    groups = op.groups if isinstance(op, LocalConv) else 1
    if step.wants(0):
        weight = step.parameter("weight")
        if table is not None:
            weight = embed_table(weight, table, x.channels, len(tiles))
        weight = _at_positions(weight, tiles, step.node.type, groups)
        ones = (1,) * x.rank
        product = LocalConv(weight.shape[0], ones, ones, bias=False, groups=groups)
        back = step.build.add(product, g, params={"weight": weight})
        fold = replace(_transposed(op, x, g.type), groups=x.channels, weight=_patches(op, x))
        step.give(0, step.build.add(fold, back))
    if step.wants("weight"):
        weight_gradient = _positional_weight(step, op, tiles, table, groups)
        step.give("weight", weight_gradient)
    if step.wants("bias"):
        _positional_bias(step, op, tiles)


def _positional_weight(
    step: Step, op: LocalConv | TiledConv, tiles: tuple[int, ...], table: Table | None, groups: int
) -> Node:
    """By the patches of the operand; each connection of a table is a group of its own."""
    build, x, g = step.build, step.x, step.gradient
    if table is not None:
        pairs = [(row, channel) for row, own in enumerate(table) for channel in own]
        g = build.add(AxisMap(0, tuple(((row, 1.0),) for row, _ in pairs)), g)
        x = build.add(AxisMap(0, tuple(((channel, 1.0),) for _, channel in pairs)), x)
        groups = len(pairs)
    channels = x.type.channels
    unfold = Conv(
        channels * math.prod(op.kernel), op.kernel, op.strides, op.pads, groups=channels,
        bias=False, weight=_patches(op, x.type),
    )  # fmt: skip
    patches = build.add(unfold, x)
    found = build.add(PositionalCorrelate(tiles, op.kernel, groups), patches, g)
    return build.reshaped(found, step.parameter("weight").shape) if table is not None else found


def _patches(op: LocalConv | TiledConv, x: TensorType) -> Any:
    """The kernels [channels * kernel, 1, *kernel] that copy each offset into a channel."""
    count = math.prod(op.kernel)

    def nested(offset: int, sizes: tuple[int, ...]) -> Any:
        if not sizes:
            return float(offset == 0)
        rest = math.prod(sizes[1:])
        return tuple(nested(offset - i * rest if 0 <= offset - i * rest < rest else -1, sizes[1:])
                     for i in range(sizes[0]))  # fmt: skip

    return tuple((nested(offset, op.kernel),) for offset in range(count)) * x.channels


def _at_positions(
    weight: Expression, tiles: tuple[int, ...], y: TensorType, groups: int
) -> Expression:
    """The weight as [channels * kernel, *positions, filters/groups, 1, ...].

    It is [filters, *tiles, channels/groups, *kernel].
    """
    positions = y.sizes[1:]
    for axis, (tile, n) in enumerate(zip(tiles, positions, strict=True), start=1):
        if tile != n:
            weight = take(weight, axis, [j % tile for j in range(n)])
    rank, own = len(positions), weight.shape[0] // groups
    patch = math.prod(weight.shape[1 + rank :])
    rows = reshape(weight, (groups, own, *positions, patch))
    turned = transpose(rows, (0, rank + 2, *range(2, rank + 2), 1))
    return reshape(turned, (groups * patch, *positions, own, *(1,) * rank))


def _positional_bias(step: Step, op: LocalConv | TiledConv, tiles: tuple[int, ...]) -> None:
    """The sum over the batch, and over the positions of each tile."""
    g = step.gradient
    found = step.build.reduced(g, g.type.sizes, batch=True)
    for axis, (tile, n) in enumerate(zip(tiles, g.type.sizes[1:], strict=True), start=1):
        if tile != n:
            taps = tuple(tuple((j, 1.0) for j in range(t, n, tile)) for t in range(tile))
            found = step.build.add(AxisMap(axis, taps), found)
    step.give("bias", found)


RULES: Rules = {
    Conv: conv,
    ConvTranspose: conv_transpose,
    LocalConv: positional,
    TiledConv: positional,
}
