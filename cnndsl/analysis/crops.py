"""What one pass over a large input saves against a pass for each crop of the declared size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics.units import si
from cnndsl.ir.described import Described
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import ConvTranspose, Crop, Join, Resize
from cnndsl.ir.types import TensorType


@dataclass(frozen=True)
class Crops:
    """The crops that a fully convolutional network sees: how many, their shape, and the MACs.

    `macs` is the cost of all crops one by one, `dense_macs` that of the one pass. `unlike` names
    the operators that see where a crop ends, mostly as padding; without any the cells of the map
    are the results of the crops.
    """

    count: int
    shape: TensorType
    macs: int
    dense_macs: int
    unlike: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"one pass for {self.count} crops of {self.shape}: {si(self.dense_macs)} MACs instead "
            f"of {si(self.macs)} ({self.macs / self.dense_macs:.1f} times as many), "
            f"{self._exactness()}"
        )

    def _exactness(self) -> str:
        if not self.unlike:
            return "with equal results"
        first, *others = self.unlike
        rest = f" and {len(others)} more" if others else ""
        return f"with approximate results: {first}{rest} see where a crop ends"


def crops(network: Described) -> Crops | None:
    """The crops, or None unless fully connected layers slide; then an output is a map of them."""
    if network.declared is None:
        return None
    graph, declared = network.graph, network.declared
    positions = [
        math.prod(n for n in graph[node].type.spatial if isinstance(n, int))
        for name, node in graph.outputs.items()
        if declared[declared.outputs[name]].type.rank == 0
    ]
    once, dense = graph_cost(declared).macs, graph_cost(graph).macs
    if not positions or once is None or dense is None:
        return None
    count = max(positions)
    shape = declared[declared.inputs[0]].type
    unlike = tuple(node.name for node in graph.nodes() if _sees_borders(graph, node))
    return Crops(count, shape, count * once, dense, unlike)


def _sees_borders(graph: Graph, node: Node) -> bool:
    """Whether a position of a result depends on where the map ends."""
    pads = getattr(node.op, "pads", ())
    ends = any(map(any, pads)) or getattr(node.op, "ceil", False)
    types = graph.input_types(node)
    whole = isinstance(node.op, Join) and any(x.spatial != node.type.spatial for x in types)
    whole |= bool(types and node.type.rank) and node.op.windows(types) is None
    return bool(ends or whole or isinstance(node.op, ConvTranspose | Crop | Resize))
