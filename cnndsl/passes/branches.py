"""Parallel branches of convolutions, and whether they divide one value among them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, Slice
from cnndsl.passes.horizontal import activation_behind, geometry, plain_activation
from cnndsl.passes.rewrite import Reject, require_one_reader


@dataclass(frozen=True)
class Branch:
    """end = activation(conv(part)), or conv(part) without an activation."""

    end: Node
    activation: Operator | None
    conv: Node
    op: Conv
    part: Node

    @classmethod
    def of(cls, graph: Graph, end: Node) -> Branch | None:
        """The branch that ends with a node, if one does."""
        activation = plain_activation(end)
        conv = graph.producers(end)[0] if activation else end
        if not isinstance(conv.op, Conv):
            return None
        (part,) = graph.producers(conv)
        return cls(end, end.op if activation else None, conv, conv.op, part)

    def shape(self) -> Hashable:
        """What the branches must have in common."""
        op = self.op
        return (geometry(op), op.groups, op.filters, op.table, self.activation, self.part.type)


@dataclass(frozen=True)
class Shares:
    """Branches of one shape, in the order of the shares of one value that they read.

    The shares are slices of it, or what the convolutions `heads` make of it. If `whole`, every
    branch reads all of it.
    """

    branches: list[Branch]
    heads: list[Node]
    whole: bool = False


def leaves_of(graph: Graph, node: Node) -> tuple[list[Node], list[Node]]:
    """The operands of nested joins of one kind that nothing else reads, and these joins."""
    leaves, joins = [], [node]
    for operand in graph.producers(node):
        if type(operand.op) is type(node.op) and has_one_use(graph, operand):
            more, nested = leaves_of(graph, operand)
            leaves += more
            joins += nested
        else:
            leaves.append(operand)
    return leaves, joins


def has_one_use(graph: Graph, node: Node) -> bool:
    """Whether one operand of one node is all that reads a node."""
    return len(graph.consumers(node)) == 1 and not graph.output_names(node)


def require_shares(graph: Graph, branches: Sequence[Branch]) -> Shares:
    """What branches of one shape read of one value.

    Raises Reject if the branches differ, or what they read cannot be shares of one value.
    """
    first = branches[0]
    for branch in branches:
        require_one_reader(graph, branch.end)
        require_one_reader(graph, branch.conv)
        if branch.shape() != first.shape():
            raise Reject(f"{branch.conv.name} differs from {first.conv.name}")
    if first.op.table is not None:
        raise Reject(f"{first.conv.name} has a table of connections")
    if first.op.groups == 1 and len({branch.part.name for branch in branches}) == 1:
        return Shares(list(branches), [], whole=True)
    heads = [Branch.of(graph, branch.part) for branch in branches]
    parallel = [head for head in heads if head is not None]
    if len(parallel) == len(branches):
        return Shares(list(branches), _heads(graph, parallel))
    return Shares(_by_slices(graph, branches), [])


def _heads(graph: Graph, heads: Sequence[Branch]) -> list[Node]:
    """The convolutions of one value that make the shares."""
    first = heads[0]
    if first.op.groups > 1 or first.op.table is not None:
        raise Reject(f"{first.conv.name} is not dense")
    for head in heads:
        if head.part.name != first.part.name or head.shape() != first.shape():
            raise Reject(f"{head.conv.name} and {first.conv.name} differ, or what they read")
        if activation_behind(graph, head.conv) != first.activation:
            raise Reject(f"{head.conv.name} has several readers")
    convs = {head.conv.name: head.conv for head in heads}
    if len(convs) < len(heads):
        raise Reject("several branches read the same share")
    return list(convs.values())


def _by_slices(graph: Graph, branches: Sequence[Branch]) -> list[Branch]:
    shares = [(op, b) for b in branches if isinstance(op := b.part.op, Slice)]
    if len(shares) < len(branches):
        other = next(b.part for b in branches if not isinstance(b.part.op, Slice))
        raise Reject(f"{other.name} is no share of a value")
    shares.sort(key=lambda share: share[0].start)
    (source,) = graph.producers(branches[0].part)
    stop = 0
    for op, branch in shares:
        if graph.producers(branch.part)[0].name != source.name or op.start != stop:
            raise Reject(f"{branch.part.name} is not the next share of {source.name}")
        stop = op.stop
    if stop != source.type.channels:
        raise Reject(f"the branches read {stop} of the {source.type.channels} channels")
    return [branch for _, branch in shares]
