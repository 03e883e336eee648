"""Convolutions of which only every n-th position is used."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv, Subsample
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class StridedConv:
    """Turns a convolution with subsampling behind it into one of a larger stride.

    The sizes agree: floor((floor((n-k)/s) + 1 - 1) / t) + 1 = floor((n-k) / (s*t)) + 1.
    """

    name: str = "strided-conv"
    algebra: str = "subsample(conv(x, stride=s), t) => conv(x, stride=s*t)"

    def run(self, graph: Graph) -> Report:
        """Multiply the strides."""
        return rewrite_each(graph, Subsample, _merge)


def _merge(graph: Graph, node: Node) -> str:
    assert isinstance(node.op, Subsample)
    (conv,) = graph.producers(node)
    if not isinstance(conv.op, Conv):
        raise Reject(f"its operand {describe(conv)} is no convolution")
    require_one_reader(graph, conv)
    stride = tuple(s * t for s, t in zip(conv.op.stride, node.op.stride, strict=True))
    op = replace(conv.op, stride=stride)
    merged = graph.update(conv, op=op, type=node.type, spans=conv.spans | node.spans)
    graph.bypass(node, merged)
    return f"stride {'x'.join(map(str, stride))} in {conv.name}"
