"""Average pools and pointwise convolutions, which commute: the pool goes first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnndsl.ir.algebra import reshape
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import AvgPool, Conv, DistanceAvgPool, FullyConnected, GlobalAvgPool
from cnndsl.ir.part import Part
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class PoolCommute:
    """Moves an average pool before the 1x1 convolution that it reads.

    A mean of W x + b is W mean(x) + b, and there are fewer means than positions: a quarter in
    the transitions of DenseNet (Huang et al. 2017, section 3). A global pool leaves a fully
    connected layer behind it.
    """

    name: str = "pool-commute"
    algebra: str = "avgpool(conv1x1(x)) => conv1x1(avgpool(x))"

    def run(self, graph: Graph) -> Report:
        """Move each pool for which the result is the same and the work is less."""
        return rewrite_each(graph, (AvgPool, DistanceAvgPool, GlobalAvgPool), _swap)


def _swap(graph: Graph, pool: Node) -> str:
    (conv,) = graph.producers(pool)
    if not isinstance(conv.op, Conv):
        raise Reject(f"its operand {describe(conv)} is no convolution")
    _require_pointwise(conv, conv.op)
    _require_means(pool, conv.op)
    _require_fewer_positions(pool, conv)
    require_one_reader(graph, conv)
    op: Operator = conv.op
    params = dict(conv.params)
    if isinstance(pool.op, GlobalAvgPool):
        if conv.op.groups > 1 or conv.op.table is not None:
            raise Reject(f"{conv.name} is in groups, a fully connected layer is not")
        op = FullyConnected(conv.op.filters, conv.op.bias)
        params["weight"] = reshape(params["weight"], params["weight"].shape[:2])
    (x,) = graph.producers(conv)
    graph.bypass(pool, conv)
    pooled = graph.add(pool.name, pool.op, [x], pool.params, pool.spans)
    part = Part.of(op, [pooled.type], params)
    graph.put(Node(conv.name, part, spans=conv.spans), [pooled])
    return f"moved before {conv.name}"


def _require_pointwise(conv: Node, op: Conv) -> None:
    if set(op.kernel) != {1}:
        raise Reject(f"{conv.name} is {'x'.join(map(str, op.kernel))}, not 1x1")
    if set(op.stride) != {1}:
        raise Reject(f"{conv.name} has stride {'x'.join(map(str, op.stride))}")
    if any(map(any, op.pads)):
        raise Reject(f"{conv.name} is padded")


def _require_means(pool: Node, conv: Conv) -> None:
    """The bias passes through a pool only if the weights of each window sum up to 1."""
    op = pool.op
    padded = isinstance(op, AvgPool) and op.include_pad and any(map(any, op.pads))
    if padded and conv.bias:
        raise Reject("it counts its padding, and would not scale the bias at the border")


def _require_fewer_positions(pool: Node, conv: Node) -> None:
    if isinstance(pool.op, GlobalAvgPool):
        return
    assert isinstance(pool.op, AvgPool | DistanceAvgPool)
    if conv.type.is_open:
        fewer = math.prod(pool.op.strides) > 1
    else:
        fewer = pool.type.elements < conv.type.elements
    if not fewer:
        raise Reject(f"it makes {pool.type} from {conv.type}: nothing is saved")
