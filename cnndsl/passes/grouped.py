"""Branches of one shape, as the groups of one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from cnndsl.diagnostics import Span
from cnndsl.ir.algebra import add, concat
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Concat, Conv
from cnndsl.passes.branches import Branch, Shares, has_one_use, leaves_of, require_shares
from cnndsl.passes.horizontal import geometry, join, joined_name, joined_params
from cnndsl.passes.rewrite import Reject, Report, rewrite_each


@dataclass(frozen=True)
class Grouped:
    """Joins convolutions that each read their share of one value into a grouped convolution.

    Their results may be concatenated, or go through convolutions that are added up; the shares
    may be slices, or convolutions of one value. This turns the forms (a) and (b) of a ResNeXt
    unit into form (c) (Xie et al. 2017, figure 3). Where all read the whole value, the convolution
    has one group: the form of units of two layers (figure 4).
    """

    name: str = "grouped"
    algebra: str = "concat(conv(slice(x)), conv(slice(x))) => conv(x, groups=2)"

    def run(self, graph: Graph) -> Report:
        """Rewrite each outermost join of branches."""
        return rewrite_each(graph, (Concat, Add), _rewrite)


def _rewrite(graph: Graph, node: Node) -> str | None:
    if any(type(reader.op) is type(node.op) for reader, _ in graph.consumers(node)):
        return None
    leaves, joins = leaves_of(graph, node)
    rewrite = _rewrite_concat if isinstance(node.op, Concat) else _rewrite_sum
    return rewrite(graph, node, leaves, joins)


def _rewrite_concat(
    graph: Graph, node: Node, leaves: Sequence[Node], joins: Sequence[Node]
) -> str | None:
    branches = [branch for leaf in leaves if (branch := Branch.of(graph, leaf))]
    if len(branches) < len(leaves):
        return None
    shares = require_shares(graph, branches)
    if shares.branches != branches:
        raise Reject("the shares are in another order than the results")
    merged = _group(graph, shares, _spans(joins))
    graph.bypass(node, merged)
    _remove(graph, [*joins[1:], *_nodes(branches)])
    return f"{len(branches)} {_parts(shares)} of {merged.name}"


def _rewrite_sum(
    graph: Graph, node: Node, leaves: Sequence[Node], joins: Sequence[Node]
) -> str | None:
    terms = [term for leaf in leaves if (term := _Term.of(graph, leaf))]
    if len(terms) < 2:
        return None
    first = terms[0].op
    for term in terms:
        if (geometry(term.op), term.op.filters) != (geometry(first), first.filters):
            raise Reject(f"{term.conv.name} and {terms[0].conv.name} differ")
    shares = require_shares(graph, [term.branch for term in terms])
    terms.sort(key=lambda term: shares.branches.index(term.branch))
    spans = _spans(joins)
    whole = _group(graph, shares, spans)
    convs = [term.conv for term in terms]
    params = {"weight": concat([conv.params["weight"] for conv in convs], 1)}
    biases = [conv.params["bias"] for conv in convs if "bias" in conv.params]
    if biases:
        params["bias"] = reduce(add, biases)
    op = replace(first, bias=bool(biases), weight=None)
    merged = graph.add(joined_name(convs), op, [whole], params, _spans(convs))
    names = {conv.name for conv in convs}
    rest = [leaf for leaf in leaves if leaf.name not in names]
    if rest:
        graph.redefine(node, node.op, [*rest, merged], {}, spans)
    else:
        graph.bypass(node, merged)
    _remove(graph, [*joins[1:], *convs, *_nodes(shares.branches)])
    return f"{len(terms)} {_parts(shares)} of {whole.name}, added up by {merged.name}"


@dataclass(frozen=True)
class _Term:
    """A term of a sum: a dense convolution of its own that reads a branch."""

    conv: Node
    op: Conv
    branch: Branch

    @classmethod
    def of(cls, graph: Graph, leaf: Node) -> _Term | None:
        """The term that a node is, if it is one."""
        op = leaf.op
        if not isinstance(op, Conv) or op.groups > 1 or op.table is not None:
            return None
        branch = Branch.of(graph, graph.producers(leaf)[0])
        return cls(leaf, op, branch) if branch and has_one_use(graph, leaf) else None


def _parts(shares: Shares) -> str:
    return "parts" if shares.whole else "groups"


def _group(graph: Graph, shares: Shares, spans: frozenset[Span]) -> Node:
    """Add the convolution that joins the branches, and the activation behind it."""
    if shares.heads:
        join(graph, graph.producers(shares.heads[0])[0], shares.heads)
    branches = shares.branches
    convs = [branch.conv for branch in branches]
    first, count = branches[0], len(branches)
    params = joined_params(convs)
    op = replace(
        first.op,
        filters=count * first.op.filters,
        groups=1 if shares.whole else count * first.op.groups,
        bias="bias" in params,
        weight=None,
    )
    (source,) = [first.part] if shares.whole else graph.producers(graph[first.part.name])
    whole = graph.add(joined_name(convs), op, [source], params, spans | _spans(convs))
    if first.activation is None:
        return whole
    ends = [branch.end for branch in branches]
    return graph.add(joined_name(ends), first.activation, [whole], {}, _spans(ends))


def _nodes(branches: Sequence[Branch]) -> list[Node]:
    """The nodes of the branches, readers first."""
    ends = [branch.end for branch in branches if branch.activation is not None]
    return [*ends, *(branch.conv for branch in branches), *(branch.part for branch in branches)]


def _spans(nodes: Sequence[Node]) -> frozenset[Span]:
    return frozenset[Span]().union(*(node.spans for node in nodes))


def _remove(graph: Graph, nodes: Sequence[Node]) -> None:
    """Delete those of the nodes, readers first, that nothing uses any more."""
    for node in nodes:
        if node.name in graph and not graph.consumers(node) and not graph.output_names(node):
            graph.remove(node)
