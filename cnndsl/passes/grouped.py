"""Branches of one shape, as the groups of one convolution."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from cnndsl.diagnostics import Span
from cnndsl.ir.algebra import add, concat
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Add, Concat, Conv, Slice
from cnndsl.passes.horizontal import geometry, joined_name, joined_params, plain_activation
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class Grouped:
    """Joins convolutions that each read their share of one value into a grouped convolution.

    Their results may be concatenated, or go through convolutions that are added up. With the
    pass horizontal before it, this turns the forms (a) and (b) of a ResNeXt unit into form (c)
    (Xie et al. 2017, figure 3).
    """

    name: str = "grouped"
    algebra: str = "concat(conv(slice(x)), conv(slice(x))) => conv(x, groups=2)"

    def run(self, graph: Graph) -> Report:
        """Rewrite each outermost join of branches."""
        return rewrite_each(graph, (Concat, Add), _rewrite)


@dataclass(frozen=True)
class _Branch:
    """end = activation(conv(part)), or conv(part) without an activation."""

    end: Node
    activation: Operator | None
    conv: Node
    op: Conv
    part: Node
    share: Slice

    @classmethod
    def of(cls, graph: Graph, end: Node) -> _Branch | None:
        """The branch that ends with a node, if one does."""
        activation = plain_activation(end)
        conv = graph.producers(end)[0] if activation else end
        if not isinstance(conv.op, Conv):
            return None
        (part,) = graph.producers(conv)
        if not isinstance(part.op, Slice):
            return None
        return cls(end, end.op if activation else None, conv, conv.op, part, part.op)

    def shape(self) -> Hashable:
        """What the branches must have in common."""
        size = self.share.stop - self.share.start
        return (geometry(self.op), self.op.groups, self.op.filters, self.activation, size)


def _rewrite(graph: Graph, node: Node) -> str | None:
    if any(type(reader.op) is type(node.op) for reader, _ in graph.consumers(node)):
        return None
    leaves, joins = _leaves(graph, node)
    rewrite = _rewrite_concat if isinstance(node.op, Concat) else _rewrite_sum
    return rewrite(graph, node, leaves, joins)


def _leaves(graph: Graph, node: Node) -> tuple[list[Node], list[Node]]:
    """The operands of nested joins of one kind that nothing else reads, and these joins."""
    leaves, joins = [], [node]
    for operand in graph.producers(node):
        if type(operand.op) is type(node.op) and _has_one_use(graph, operand):
            more, nested = _leaves(graph, operand)
            leaves += more
            joins += nested
        else:
            leaves.append(operand)
    return leaves, joins


def _rewrite_concat(
    graph: Graph, node: Node, leaves: Sequence[Node], joins: Sequence[Node]
) -> str | None:
    branches = [_Branch.of(graph, leaf) for leaf in leaves]
    found = [branch for branch in branches if branch is not None]
    if not found:
        return None
    if len(found) < len(leaves):
        other = next(leaf for leaf in leaves if _Branch.of(graph, leaf) is None)
        raise Reject(f"its operand {describe(other)} is no convolution of a slice")
    _require_groups(graph, found)
    whole = _group(graph, found, _spans(joins))
    graph.bypass(node, whole)
    _remove(graph, [*joins[1:], *_nodes(found)])
    return f"{len(found)} groups of {whole.name}"


def _rewrite_sum(
    graph: Graph, node: Node, leaves: Sequence[Node], joins: Sequence[Node]
) -> str | None:
    last = {leaf.name: branch for leaf in leaves if (branch := _summed_branch(graph, leaf))}
    if len(last) < 2:
        return None
    found = sorted(last.values(), key=lambda branch: branch.share.start)
    _require_groups(graph, found)
    by_end = {branch.end.name: graph[name] for name, branch in last.items()}
    summed = [by_end[branch.end.name] for branch in found]
    ops = [conv.op for conv in summed if isinstance(conv.op, Conv)]
    if len({(geometry(op), op.filters) for op in ops}) > 1:
        raise Reject("the convolutions that are added up have different windows or filters")
    spans = _spans(joins)
    whole = _group(graph, found, spans)
    params = {"weight": concat([conv.params["weight"] for conv in summed], 1)}
    biases = [conv.params["bias"] for conv in summed if "bias" in conv.params]
    if biases:
        params["bias"] = reduce(add, biases)
    op = replace(ops[0], bias=bool(biases), weight=None)
    merged = graph.add(joined_name(summed), op, [whole], params, _spans(summed))
    rest = [leaf for leaf in leaves if leaf.name not in last]
    if rest:
        graph.redefine(node, node.op, [*rest, merged], {}, spans)
    else:
        graph.bypass(node, merged)
    _remove(graph, [*joins[1:], *summed, *_nodes(found)])
    return f"{len(found)} groups of {whole.name}, added up by {merged.name}"


def _summed_branch(graph: Graph, leaf: Node) -> _Branch | None:
    """The branch that a term of a sum reads through a dense convolution of its own."""
    op = leaf.op
    if not isinstance(op, Conv) or op.groups > 1 or op.table is not None:
        return None
    return _Branch.of(graph, graph.producers(leaf)[0]) if _has_one_use(graph, leaf) else None


def _require_groups(graph: Graph, branches: Sequence[_Branch]) -> None:
    """Raise Reject unless the branches are equal, and divide one value among them in order."""
    first = branches[0]
    (source,) = graph.producers(first.part)
    stop = 0
    for branch in branches:
        require_one_reader(graph, branch.end)
        require_one_reader(graph, branch.conv)
        if graph.producers(branch.part)[0].name != source.name or branch.share.start != stop:
            raise Reject(f"{branch.part.name} is not the next share of {source.name}")
        if branch.shape() != first.shape() or branch.op.table is not None:
            raise Reject(f"{branch.conv.name} differs from {first.conv.name}")
        stop = branch.share.stop
    if stop != source.type.channels:
        raise Reject(f"the branches read {stop} of the {source.type.channels} channels")


def _group(graph: Graph, branches: Sequence[_Branch], spans: frozenset[Span]) -> Node:
    """Add the grouped convolution of the branches, and the activation behind it."""
    convs = [branch.conv for branch in branches]
    first, count = branches[0], len(branches)
    params = joined_params(convs)
    op = replace(
        first.op,
        filters=count * first.op.filters,
        groups=count * first.op.groups,
        bias="bias" in params,
        weight=None,
    )
    (source,) = graph.producers(first.part)
    whole = graph.add(joined_name(convs), op, [source], params, spans | _spans(convs))
    if first.activation is None:
        return whole
    ends = [branch.end for branch in branches]
    return graph.add(joined_name(ends), first.activation, [whole], {}, _spans(ends))


def _nodes(branches: Sequence[_Branch]) -> list[Node]:
    """The nodes of the branches, readers first."""
    ends = [branch.end for branch in branches if branch.activation is not None]
    return [*ends, *(branch.conv for branch in branches), *(branch.part for branch in branches)]


def _spans(nodes: Sequence[Node]) -> frozenset[Span]:
    return frozenset[Span]().union(*(node.spans for node in nodes))


def _has_one_use(graph: Graph, node: Node) -> bool:
    return len(graph.consumers(node)) == 1 and not graph.output_names(node)


def _remove(graph: Graph, nodes: Sequence[Node]) -> None:
    """Delete those of the nodes, readers first, that nothing uses any more."""
    for node in nodes:
        if node.name in graph and not graph.consumers(node) and not graph.output_names(node):
            graph.remove(node)
