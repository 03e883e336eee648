"""W0301: a layer that everything goes through leaves too little of what was there.

Source: Szegedy et al. (2016), Rethinking the Inception architecture for computer vision: principle
1 of section 2, and section 5 on smaller maps.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.bases import Linear
from cnndsl.lint.lint import Remark

CODE = "W0301"
MOST = 8
"""How many times fewer numbers may be left; half of both axes, 4, with odd sizes up to 5, is well
below it, a stride of 3, 9, or 4, 16, is beyond it."""


def bottlenecks(graph: Graph) -> Iterator[Remark]:
    """Cuts of one tensor with less than 1/8 of the least one before, up to the first vector.

    What the last layer makes is an output, as small as it has to be.
    """
    least: Node | None = None
    for node in _cuts(graph):
        if node.type.rank == 0 or node.type.is_open or not _has_layers_behind(graph, node):
            return
        if least is not None and node.type.elements * MOST < least.type.elements:
            times = least.type.elements / node.type.elements
            yield Remark(
                node,
                f"{node.type} is all that is left of {least.type}, {times:.0f} times fewer numbers",
                "shrink the map in two steps, or widen where it shrinks",
            )
        if least is None or node.type.elements < least.type.elements:
            least = node


def _has_layers_behind(graph: Graph, node: Node) -> bool:
    below = nx.descendants(graph.nx, node.name)
    return any(isinstance(graph[name].op, Linear) for name in below)


def _cuts(graph: Graph) -> Iterator[Node]:
    """The tensors through which every path from the only input to the first output goes."""
    if len(graph.inputs) != 1 or not graph.outputs:
        return
    before = nx.immediate_dominators(nx.DiGraph(graph.nx), graph.inputs[0])
    name = next(iter(graph.outputs.values()))
    chain = [name]
    while before.get(name) not in (None, name):
        name = before[name]
        chain.append(name)
    yield from (graph[name] for name in reversed(chain))
