"""Terms of a sum that a constant makes zero."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Scale
from cnndsl.passes.rewrite import Reject, Report, describe, require_inner, rewrite_each


@dataclass(frozen=True)
class ZeroBranches:
    """Leaves a branch that is scaled by 0 out of the sums that it is added to.

    A factor of 0 in the text says that the branch is not part of the network, as a survival
    probability of 0 does (Huang et al. 2016, section 3): what it multiplies counts as 0 even
    where it would be infinite or NaN, and is not computed.
    """

    name: str = "zero-branches"
    algebra: str = "x + scale(y, 0) => x"

    def run(self, graph: Graph) -> Report:
        """Drop each scaled branch from the sums that read it."""
        return rewrite_each(graph, Scale, _drop)


def _drop(graph: Graph, node: Node) -> str | None:
    assert isinstance(node.op, Scale)
    if any(node.op.factor):
        return None
    if any(node.op.shift):
        raise Reject("its shift remains")
    require_inner(graph, node)
    sums = list({reader.name: reader for reader, _ in graph.consumers(node)}.values())
    for reader in sums:
        if not isinstance(reader.op, Add):
            raise Reject(f"its reader {describe(reader)} is no sum")
        if all(operand.type != reader.type for operand in _others(graph, reader, node)):
            raise Reject(f"nothing else of {reader.name} has its shape")
    for reader in sums:
        others = _others(graph, reader, node)
        if len(others) > 1:
            graph.redefine(reader, reader.op, others, {}, reader.spans)
        else:
            graph.bypass(reader, others[0])
    return f"left out of {', '.join(reader.name for reader in sums)}"


def _others(graph: Graph, reader: Node, node: Node) -> list[Node]:
    return [operand for operand in graph.producers(reader) if operand.name != node.name]
