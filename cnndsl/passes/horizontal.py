"""Parallel convolutions of one value, as one wider convolution."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from cnndsl.diagnostics import Span
from cnndsl.ir.algebra import ZERO, broadcast, concat
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Activation, ChannelMap, Conv, Slice
from cnndsl.passes.rewrite import Reject, Report, rewrite_each


@dataclass(frozen=True)
class Horizontal:
    """Joins the convolutions that read one value through equal windows.

    Slices take the results apart; an activation that follows all of them comes before these.
    The 1x1 convolutions of an inception module (Szegedy et al. 2015, figure 2) read it once.
    """

    name: str = "horizontal"
    algebra: str = "conv(x, v), conv(x, w) => y = conv(x, [v; w]); slice(y), slice(y)"

    def run(self, graph: Graph) -> Report:
        """Join the readers of each value."""
        return rewrite_each(graph, Operator, _join_readers)


def geometry(op: Conv) -> Hashable:
    """What two convolutions must share to be parts of one: their windows."""
    return (op.kernel, op.stride, op.pads, op.dilation, op.flip)


def joined_params(convs: Sequence[Node]) -> dict[str, Expression]:
    """Weights and biases one after another; zeros where only others have a bias."""
    params = {"weight": concat([conv.params["weight"] for conv in convs], 0)}
    if any("bias" in conv.params for conv in convs):
        zeros = [broadcast(ZERO, (conv.type.channels,)) for conv in convs]
        biases = [conv.params.get("bias", zero) for conv, zero in zip(convs, zeros, strict=True)]
        params["bias"] = concat(biases, 0)
    return params


def joined_name(nodes: Sequence[Node]) -> str:
    """A name for what stands for several nodes."""
    return f"{nodes[0].name}..{nodes[-1].name}"


def plain_activation(node: Node) -> bool:
    """Whether a node is an activation without parameters."""
    return isinstance(node.op, Activation) and not node.params


def _join_readers(graph: Graph, node: Node) -> str | None:
    readers = [reader for reader, _ in graph.consumers(node) if isinstance(reader.op, Conv)]
    if len(readers) < 2:
        return None
    alike: dict[Hashable, list[Node]] = {}
    for reader in readers:
        op = reader.op
        if isinstance(op, Conv) and op.groups == 1 and op.table is None:
            key = (geometry(op), activation_behind(graph, reader))
            alike.setdefault(key, []).append(reader)
    groups = [convs for convs in alike.values() if len(convs) > 1]
    if not groups:
        names = ", ".join(reader.name for reader in readers)
        raise Reject(f"{names} differ in their windows, groups, or the activation behind them")
    for convs in groups:
        join(graph, node, convs)
    return "; ".join(f"{len(convs)} convolutions as {joined_name(convs)}" for convs in groups)


def activation_behind(graph: Graph, conv: Node) -> Hashable:
    """What an epilogue could compute: joined convolutions must have it in common.

    None without an activation that alone reads the convolution. One with parameters, or with a
    per-channel map before or behind it, is like no other.
    """
    behind = only_activation(graph, conv)
    if mapped(graph, conv) or (behind and mapped(graph, behind)):
        return conv.name
    if behind is None:
        return None
    return behind.op if plain_activation(behind) else conv.name


def only_activation(graph: Graph, node: Node) -> Node | None:
    """The activation that is all that reads a node."""
    readers = [reader for reader, _ in graph.consumers(node)]
    if len(readers) == 1 and isinstance(readers[0].op, Activation):
        return None if graph.output_names(node) else readers[0]
    return None


def mapped(graph: Graph, node: Node) -> bool:
    """Whether a per-channel map is left behind a node, for its epilogue to take."""
    return any(isinstance(reader.op, ChannelMap) for reader, _ in graph.consumers(node))


def join(graph: Graph, x: Node, convs: Sequence[Node]) -> None:
    """Join dense convolutions of `x` with equal windows, and equal activations behind them or none.

    The names of the activations, else of the convolutions, stand for slices then.
    """
    first = convs[0].op
    assert isinstance(first, Conv)
    params = joined_params(convs)
    filters = sum(conv.type.channels for conv in convs)
    op = replace(first, filters=filters, bias="bias" in params, weight=None)
    spans = frozenset[Span]().union(*(conv.spans for conv in convs))
    whole = graph.add(joined_name(convs), op, [x], params, spans)
    if activation_behind(graph, convs[0]) is None:
        _take_apart(graph, whole, convs)
        return
    activations = [graph.consumers(conv)[0][0] for conv in convs]
    spans = spans.union(*(activation.spans for activation in activations))
    whole = graph.add(joined_name(activations), activations[0].op, [whole], {}, spans)
    _take_apart(graph, whole, activations)
    for conv in convs:
        graph.remove(conv)


def _take_apart(graph: Graph, whole: Node, parts: Sequence[Node]) -> None:
    start = 0
    for part in parts:
        stop = start + part.type.channels
        graph.redefine(part, Slice(start, stop), [whole], {}, part.spans)
        start = stop
