"""What one pass over a large input saves against a pass for each crop of the declared size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics.units import si
from cnndsl.ir.types import TensorType

if TYPE_CHECKING:
    from cnndsl.api import Network


@dataclass(frozen=True)
class Crops:
    """The crops that a fully convolutional network sees: how many, their shape, and the MACs.

    `macs` is the cost of all crops one by one, `dense_macs` that of the one pass.
    """

    count: int
    shape: TensorType
    macs: int
    dense_macs: int

    def __str__(self) -> str:
        return (
            f"one pass for {self.count} crops of {self.shape}: {si(self.dense_macs)} MACs instead "
            f"of {si(self.macs)} ({self.macs / self.dense_macs:.1f} times as many)"
        )


def crops(network: Network) -> Crops | None:
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
    return Crops(count, declared[declared.inputs[0]].type, count * once, dense)
