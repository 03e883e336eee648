"""Per-channel maps folded into the weights before them, or those behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Add, Affine, BatchNorm, ChannelMap, Concat, Linear, Scale
from cnndsl.passes.channel_affine import ChannelAffine
from cnndsl.passes.linear import after, before
from cnndsl.passes.rewrite import (
    Reject,
    Report,
    describe,
    require_inner,
    require_one_reader,
    rewrite_each,
)


@dataclass(frozen=True)
class FoldAffine:
    """Base of the passes that fold operators of `kinds`.

    Back: into the linear operators that make the operand, through concatenations (each operand
    takes its slice of the channels) and sums (each takes the factor, one the shift). All of them
    must have no other reader. Else forward, into all readers, where no padding is in the way.

    A parameter that several nodes share may be folded: each node gets an expression of its own.
    """

    name: str
    algebra: str
    kinds: ClassVar[tuple[type[Operator], ...]]

    def run(self, graph: Graph) -> Report:
        """Fold back where possible, else forward."""
        return rewrite_each(graph, self.kinds, _fold)


@dataclass(frozen=True)
class FuseBatchNorm(FoldAffine):
    """Folds batch normalisation into weights."""

    name: str = "fuse-bn"
    algebra: str = "bn(conv(x, w)) => conv(x, w'); conv(bn(x), w) => conv(x, w') without padding"
    kinds: ClassVar[tuple[type[Operator], ...]] = (BatchNorm, Affine)


@dataclass(frozen=True)
class FoldScale(FoldAffine):
    """Folds constant scales into weights: residual scaling, survival, input normalisation."""

    name: str = "fold-scale"
    algebra: str = "s * conv(x, w) => conv(x, s*w); conv(s*x, w) => conv(x, s*w)"
    kinds: ClassVar[tuple[type[Operator], ...]] = (Scale,)


def _fold(graph: Graph, node: Node) -> str:
    try:
        return _fold_back(graph, node)
    except Reject as back:
        try:
            return _fold_forward(graph, node)
        except Reject as forward:
            raise Reject(f"not back: {back}; not forward: {forward}") from None


def _fold_back(graph: Graph, node: Node) -> str:
    (operand,) = graph.producers(node)
    targets = _makers(graph, operand, ChannelAffine.of(node))
    for target, part in targets:
        op, params = after(target, graph.input_types(target)[0], part)
        graph.update(target, op=op, params=params, spans=target.spans | node.spans)
    graph.bypass(node, operand)
    return f"folded back into {_names([target for target, _ in targets])}"


def _makers(graph: Graph, operand: Node, outer: ChannelAffine) -> list[tuple[Node, ChannelAffine]]:
    """The linear nodes that make an operand, each with the map that has to follow it."""
    makers = []
    pending = [(operand, outer)]
    while pending:
        node, part = pending.pop()
        require_one_reader(graph, node)
        if isinstance(node.op, Linear | ChannelMap):
            makers.append((node, part))
        elif isinstance(node.op, Concat):
            start = 0
            for producer in graph.producers(node):
                stop = start + producer.type.channels
                pending.append((producer, part.part(start, stop)))
                start = stop
        elif isinstance(node.op, Add):
            first, *others = graph.producers(node)
            if any(x.type.channels != node.type.channels for x in (first, *others)):
                raise Reject(f"{describe(node)} repeats an operand for all channels")
            pending.append((first, part))
            pending += [(other, part.without_shift()) for other in others]
        else:
            raise Reject(f"{describe(node)} has no weights")
    return makers


def _fold_forward(graph: Graph, node: Node) -> str:
    require_inner(graph, node)
    inner = ChannelAffine.of(node)
    readers = [reader for reader, _ in graph.consumers(node)]
    for reader in readers:
        if not isinstance(reader.op, Linear | ChannelMap):
            raise Reject(f"its reader {describe(reader)} has no weights")
    changes = [(reader, before(reader, node.type, inner)) for reader in readers]
    for reader, (op, params) in changes:
        graph.update(reader, op=op, params=params, spans=reader.spans | node.spans)
    graph.bypass(node, graph.producers(node)[0])
    return f"folded forward into {_names(readers)}"


def _names(nodes: list[Node]) -> str:
    return ", ".join(sorted(node.name for node in nodes))
