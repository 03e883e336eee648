"""Depthwise convolutions computed by the pointwise convolution that reads them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv
from cnndsl.passes.fusing import absorb
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class DepthwisePrologue:
    """Makes one operator of a depthwise separable convolution.

    The map between its two parts (Howard et al. 2017, section 3.1) then need not be stored whole.
    """

    name: str = "depthwise-prologue"
    algebra: str = "conv1x1(depthwise(x)) => fused(x; depthwise, conv1x1)"

    def run(self, graph: Graph) -> Report:
        """Fuse each depthwise convolution with its reader, or leave it."""
        return rewrite_each(graph, Conv, _fuse)


def _fuse(graph: Graph, node: Node) -> str | None:
    assert isinstance(node.op, Conv)
    if not is_depthwise(node.op, node.params["weight"].shape):
        return None
    if node.prologue:
        raise Reject("it has a prologue")
    if any(len(step.inputs) > 1 for step in node.epilogue):
        raise Reject("it joins another value")
    if node.pool:
        raise Reject("it ends with a pool")
    require_one_reader(graph, node)
    ((reader, index),) = graph.consumers(node)
    if index or not is_pointwise(reader.op):
        raise Reject(f"its reader {describe(reader)} is no pointwise convolution of it")
    if reader.prologue:
        raise Reject(f"its reader {reader.name} has a prologue already")
    absorb(graph, reader, node)
    return f"prologue of {reader.name}"


def is_depthwise(op: Conv, weight: tuple[int, ...]) -> bool:
    """Whether every channel of the result is a convolution of the same channel of the operand."""
    return op.table is None and 1 < op.groups == op.filters and weight[1] == 1


def is_pointwise(op: object) -> bool:
    """Whether an operator is a convolution in one group that reads each position once."""
    match op:
        case Conv(kernel=kernel, stride=stride, pads=pads, groups=1, table=None):
            return {*kernel, *stride} == {1} and not any(map(any, pads))
    return False
