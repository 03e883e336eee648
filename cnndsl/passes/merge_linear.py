"""Two linear layers with nothing between them, as one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeAlias

from cnndsl.ir.algebra import add, einsum, reshape
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv, FullyConnected
from cnndsl.passes.rewrite import Reject, Report, require_one_reader, rewrite_each

Merged: TypeAlias = tuple[Conv | FullyConnected, Mapping[str, Expression]]


@dataclass(frozen=True)
class MergeLinear:
    """Multiplies the weights of two linear layers in a row, where that costs less.

    One of two convolutions has to be 1x1. The cost is the multiply-adds for one position of the
    result, borders left aside: a bottleneck is cheaper as it stands.
    """

    name: str = "merge-linear"
    algebra: str = "conv(conv(x, v), w) => conv(x, w v), if v or w is 1x1"

    def run(self, graph: Graph) -> Report:
        """Merge each layer with the one before it, first to last."""
        return rewrite_each(graph, (Conv, FullyConnected), _merge)


def _merge(graph: Graph, node: Node) -> str | None:
    (first,) = graph.producers(node)
    if isinstance(node.op, Conv) and isinstance(first.op, Conv):
        op, params = _merged_convs(first, first.op, node, node.op)
        repeats = math.prod(node.op.stride)
    elif isinstance(node.op, FullyConnected) and isinstance(first.op, FullyConnected):
        op, params = _merged_fcs(first, node, node.op)
        repeats = 1
    else:
        return None
    require_one_reader(graph, first)
    before = repeats * _weights(first) + _weights(node)
    after = math.prod(params["weight"].shape)
    if after >= before:
        raise Reject(f"with {first.name} it would cost {after} multiply-adds instead of {before}")
    spans = first.spans | node.spans
    graph.bypass(node, graph.update(first, op=op, output=node.type, params=params, spans=spans))
    return f"merged into {first.name}: {after} multiply-adds instead of {before}"


def _weights(node: Node) -> int:
    return math.prod(node.params["weight"].shape)


def _merged_fcs(first: Node, node: Node, op: FullyConnected) -> Merged:
    weight, inner = node.params["weight"], first.params["weight"]
    bias = first.params.get("bias")
    carried = None if bias is None else einsum("om,m->o", weight, bias)
    params = _with_bias(einsum("om,mi->oi", weight, inner), node.params.get("bias"), carried)
    return replace(op, bias="bias" in params), params


def _merged_convs(first: Node, inner: Conv, node: Node, outer: Conv) -> Merged:
    """w'[o,i,k] = sum_m w[o,m,k2] v[m,i,k1], k1 or k2 being the only position; by groups."""
    if inner.table is not None or outer.table is not None:
        raise Reject("one of the two has a table of connections")
    if inner.groups != outer.groups:
        raise Reject(f"{first.name} has groups: {inner.groups}, it has {outer.groups}")
    if _is_pointwise(outer):
        window, stride = inner, [s * t for s, t in zip(inner.stride, outer.stride, strict=True)]
    elif _is_pointwise(inner) and set(inner.stride) == {1}:
        if inner.bias and any(map(any, outer.pads)):
            raise Reject(f"it is padded: the bias of {first.name} would change at the border")
        window, stride = outer, list(outer.stride)
    else:
        raise Reject(f"neither it nor {first.name} is 1x1 without stride and padding")
    groups = outer.groups
    w = _by_group(node.params["weight"], groups)
    v = _by_group(first.params["weight"], groups)
    product = einsum("gomk,gmil->goikl", w, v)
    channels = first.params["weight"].shape[1]
    weight = reshape(product, (outer.filters, channels, *window.kernel))
    bias = first.params.get("bias")
    carried = None
    if bias is not None:
        summed = einsum("gomk,gm->go", w, reshape(bias, (groups, inner.filters // groups)))
        carried = reshape(summed, (outer.filters,))
    params = _with_bias(weight, node.params.get("bias"), carried)
    op = replace(window, filters=outer.filters, stride=tuple(stride), weight=None)
    return replace(op, bias="bias" in params), params


def _is_pointwise(op: Conv) -> bool:
    return set(op.kernel) == {1} and not any(map(any, op.pads))


def _by_group(weight: Expression, groups: int) -> Expression:
    """[filters, channels, *kernel] as [groups, filters/groups, channels, positions]."""
    filters, channels, *kernel = weight.shape
    return reshape(weight, (groups, filters // groups, channels, math.prod(kernel)))


def _with_bias(
    weight: Expression, bias: Expression | None, carried: Expression | None
) -> dict[str, Expression]:
    """The parameters of a layer whose bias is the sum of those that there are."""
    parts = [part for part in (bias, carried) if part is not None]
    return {"weight": weight, **({"bias": reduce(add, parts)} if parts else {})}
