"""Which tensors share a scale: what is only moved keeps its codes, what is joined shares them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Meaning, meaning_of
from cnndsl.ir.quantisation import Quantisation

MOST_COARSER = 4.0
"""How much coarser than its own a scale may be that a tensor shares with those it is joined to."""


def is_moved(node: Node) -> bool:
    """Whether the values of a node are some of its operands'."""
    return meaning_of(node.op, node.core.inputs) is Meaning.MOVE


def shared_scales(
    graph: Graph, own: Mapping[str, Quantisation], quantised: Collection[str]
) -> dict[str, Quantisation]:
    """The quantisation of each node: its own, or one for all that are moved and joined.

    One operand that is moved has the codes of the result. Of several, those whose own scale is
    within MOST_COARSER of that of all share it; the others are rescaled where they are joined.
    """
    groups = _Groups(own)
    for node in graph.nodes():
        if node.name in quantised and is_moved(node):
            operands = graph.producers(node)
            for operand in operands:
                groups.join(node.name, operand.name, always=len(operands) == 1)
    return {name: groups.scale(name) for name in own}


class _Groups:
    """Nodes that share a quantisation: that of the range of all."""

    def __init__(self, own: Mapping[str, Quantisation]):
        self._group = {name: name for name in own}
        self._shared = dict(own)
        self._finest = {name: q.scale for name, q in own.items()}

    def scale(self, name: str) -> Quantisation:
        """That of the group of a node."""
        return self._shared[self._find(name)]

    def join(self, first: str, second: str, *, always: bool) -> None:
        """Make one group of those of two nodes, unless the scale of one is much finer."""
        a, b = self._find(first), self._find(second)
        if a == b:
            return
        both = union(self._shared[a], self._shared[b])
        finest = min(self._finest[a], self._finest[b])
        if always or both.scale <= MOST_COARSER * finest:
            self._group[b] = a
            self._shared[a], self._finest[a] = both, finest

    def _find(self, name: str) -> str:
        while self._group[name] != name:
            self._group[name] = self._group[self._group[name]]
            name = self._group[name]
        return name


def union(a: Quantisation, b: Quantisation) -> Quantisation:
    """One for the numbers of both."""
    if a == b:
        return a
    symmetric = a.zero == b.zero == 128
    return Quantisation.covering(min(a.low, b.low), max(a.high, b.high), symmetric=symmetric)
