"""Max pools computed by the convolution before them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv, MaxPool
from cnndsl.passes.fusing import add_epilogue
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class PoolEpilogue:
    """Makes one operator of a convolution and of a max pool whose windows tile its map.

    A convolution that computes its outputs in tiles can store one number for each window: in the
    blocks of VGG (Simonyan and Zisserman 2015, section 2.1) a quarter of the map.
    """

    name: str = "pool-epilogue"
    algebra: str = "maxpool(relu(conv(x))) => fused(x; conv, relu, maxpool)"

    def run(self, graph: Graph) -> Report:
        """Fuse each max pool with the convolution that it reads, or leave it."""
        return rewrite_each(graph, MaxPool, _fuse)


def _fuse(graph: Graph, pool: Node) -> str:
    (conv,) = graph.producers(pool)
    if not isinstance(conv.op, Conv):
        raise Reject(f"its operand {describe(conv)} is no convolution")
    if conv.pool:
        raise Reject(f"its operand {conv.name} ends with a pool already")
    require_one_reader(graph, conv)
    _require_tiling(pool, conv)
    add_epilogue(graph, conv, pool, ())
    return f"epilogue of {conv.name}"


def _require_tiling(pool: Node, conv: Node) -> None:
    """Raise Reject unless every element of the map is in exactly one window."""
    op = pool.op
    assert isinstance(op, MaxPool)
    if op.kernel != op.strides or set(op.dilations) != {1} or any(map(any, op.pads)):
        raise Reject("its windows do not lie side by side")
    for size, window in zip(conv.type.spatial, op.kernel, strict=True):
        if not isinstance(size, int):
            raise Reject(f"the sizes of {conv.name} are open")
        if size % window:
            raise Reject(f"its windows of {window} leave a part of {size} positions")
