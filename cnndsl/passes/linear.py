"""Per-channel maps moved into the weights of linear operators.

`after(node, s*y + t)` is the operator that computes s*(W x + b) + t, `before` the one that
computes W (s*x + t) + b. Weights stay expressions: nothing here needs their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from cnndsl.ir.algebra import add, along, broadcast, embed_table, multiply, reshape, sum_axes, take
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Affine,
    ChannelMap,
    Conv,
    ConvTranspose,
    FullyConnected,
    Linear,
    LocalConv,
    Windowed,
)
from cnndsl.ir.types import TensorType
from cnndsl.passes.channel_affine import ChannelAffine
from cnndsl.passes.rewrite import Reject

Change: TypeAlias = tuple[Operator, Mapping[str, Expression]]
"""The new operator of a node, and its parameters."""


def after(node: Node, x: TensorType, outer: ChannelAffine) -> Change:
    """The linear operator of a node followed by a map of its output channels.

    `x` is the type of its operand.
    """
    op = node.op
    if isinstance(op, ChannelMap):
        return Affine(), outer.after(ChannelAffine.of(node)).params()
    assert isinstance(op, Linear)
    weight = node.params["weight"]
    scaled = multiply(weight, _over_outputs(op, outer.factor, weight, x))
    bias = node.params.get("bias")
    shape = _bias_shape(op, x)
    if bias is not None:
        bias = multiply(bias, along(outer.factor, 0, len(shape)))
    return _weighted(op, scaled, _sum(bias, outer.shift, shape))


def before(node: Node, x: TensorType, inner: ChannelAffine) -> Change:
    """The linear operator of a node preceded by a map of its input channels.

    Raises Reject if padding lets the shift act on fewer terms at the border.
    """
    op = node.op
    if isinstance(op, ChannelMap):
        return Affine(), ChannelAffine.of(node).after(inner).params()
    assert isinstance(op, Linear)
    weight = node.params["weight"]
    scaled = multiply(weight, _over_inputs(op, inner.factor, weight, x))
    bias = node.params.get("bias")
    if inner.shift is not None:
        _require_even_border(node, op)
        terms = multiply(weight, _over_inputs(op, inner.shift, weight, x))
        constant = _sum_over_inputs(op, terms, x)
        bias = constant if bias is None else add(bias, constant)
    return _weighted(op, scaled, bias)


def _weighted(op: Linear, weight: Expression, bias: Expression | None) -> Change:
    """The operator with other weights, which are no longer the constants of the network."""
    if isinstance(op, Conv | ConvTranspose) and op.weight is not None:
        op = replace(op, weight=None)
    if bias is None:
        return op, {"weight": weight}
    return op.with_bias(), {"weight": weight, "bias": bias}


def _sum(
    bias: Expression | None, shift: Expression | None, shape: tuple[int, ...]
) -> Expression | None:
    """bias + shift, the shift one for each filter; None if there is neither."""
    if shift is None:
        return bias
    shift = along(shift, 0, len(shape))
    return broadcast(shift, shape) if bias is None else add(bias, shift)


def _bias_shape(op: Linear, x: TensorType) -> tuple[int, ...]:
    return op.with_bias().parameters([x])["bias"].shape


def _over_outputs(op: Linear, vector: Expression, weight: Expression, x: TensorType) -> Expression:
    """A vector [filters] in a form that broadcasts over the weight."""
    rank = len(weight.shape)
    match op:
        case Conv(table=tuple() as table) | LocalConv(table=tuple() as table):
            rows = [filter_ for filter_, row in enumerate(table) for _ in row]
            return along(take(vector, 0, rows), 0, rank)
        case ConvTranspose(groups=groups):
            return _by_group(vector, groups, x.channels, rank)
    return along(vector, 0, rank)


def _over_inputs(op: Linear, vector: Expression, weight: Expression, x: TensorType) -> Expression:
    """A vector [input channels] in a form that broadcasts over the weight."""
    rank = len(weight.shape)
    match op:
        case Conv(table=tuple() as table) | LocalConv(table=tuple() as table):
            return along(take(vector, 0, [channel for row in table for channel in row]), 0, rank)
        case LocalConv(groups=groups, filters=filters) if groups > 1:
            rows = _by_group(vector, groups, filters, 2)
            return reshape(rows, (filters, *(1,) * x.rank, rows.shape[1], *(1,) * x.rank))
        case Conv(groups=groups, filters=filters):
            return _by_group(vector, groups, filters, rank)
        case ConvTranspose():
            return along(vector, 0, rank)
        case FullyConnected():
            per_channel = broadcast(along(vector, 0, 2), (x.channels, x.elements // x.channels))
            return reshape(per_channel, (1, x.elements))
    return along(vector, 1 + x.rank, rank)


def _by_group(vector: Expression, groups: int, leading: int, rank: int) -> Expression:
    """[groups*n] as [leading, n, 1, ...]: row i has the part of the group that i belongs to."""
    (size,) = vector.shape
    if groups == 1:
        return along(vector, 1, rank)
    parts = reshape(vector, (groups, 1, size // groups))
    rows = broadcast(parts, (groups, leading // groups, size // groups))
    return reshape(rows, (leading, size // groups, *(1,) * (rank - 2)))


def _sum_over_inputs(op: Linear, terms: Expression, x: TensorType) -> Expression:
    """The terms of each bias: summed over input channels and kernel positions."""
    if isinstance(op, Conv | LocalConv) and op.table is not None:
        tiles = 0 if isinstance(op, Conv) else x.rank
        terms = embed_table(terms, op.table, x.channels, tiles)
    return sum_axes(terms, range(len(_bias_shape(op, x)), len(terms.shape)))


def _require_even_border(node: Node, op: Linear) -> None:
    if isinstance(op, ConvTranspose):
        raise Reject(f"{node.name} is transposed: the border would change")
    if isinstance(op, Windowed) and any(map(any, op.pads)):
        raise Reject(f"{node.name} is padded: the border would change")
