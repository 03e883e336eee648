"""W0303: a residual branch that ends in a relu.

Source: He et al. (2016), Identity mappings in deep residual networks, section 4.1, figure 4 (c):
the forward signal is monotonically increasing.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Sign
from cnndsl.ir.operators.bases import Linear
from cnndsl.ir.operators.join import Add
from cnndsl.lint.lint import Remark

CODE = "W0303"


def rectified_residuals(graph: Graph) -> Iterator[Remark]:
    """Additions of what layers make, and is never negative, to what is not made of it."""
    for node in graph.nodes():
        if not isinstance(node.op, Add):
            continue
        operands = graph.producers(node)
        for branch in operands:
            others = [other for other in operands if other.name != branch.name]
            last = _rectifier(graph, branch)
            if last and _is_branch(graph, branch, others):
                yield Remark(
                    node,
                    f"what is added comes out of a {last.op.name} and is never negative",
                    f"put the {last.op.name} behind the addition, or before the convolutions",
                )
                break


def _rectifier(graph: Graph, node: Node) -> Node | None:
    """The operator that lets a value be at least zero; None if it may be negative."""
    while node.op.sign is Sign.KEPT and node.operands == 1:
        (node,) = graph.producers(node)
    return node if node.op.sign is Sign.NONNEGATIVE and node.operands == 1 else None


def _is_branch(graph: Graph, branch: Node, others: list[Node]) -> bool:
    """Whether layers make a value of what a shortcut leads to the same place.

    A shortcut has one layer at most, a projection; a value that others are made of may be one
    itself.
    """
    above = {branch.name, *nx.ancestors(graph.nx, branch.name)}
    beside = [{other.name, *nx.ancestors(graph.nx, other.name)} for other in others]
    if any(branch.name in names for names in beside):
        return False
    made = _layers(graph, above.difference(*beside))
    return made > 0 and any(_layers(graph, names - above) <= 1 for names in beside)


def _layers(graph: Graph, names: set[str]) -> int:
    return sum(isinstance(graph[name].op, Linear) for name in names)
