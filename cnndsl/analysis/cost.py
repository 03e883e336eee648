"""What a network costs: parameters, multiply-adds, bytes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cnndsl.ir.expressions import parameters_of
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.types import FLOAT32

BIASES = frozenset({"bias", "b1", "b2"})
"""The roles of parameters that operators add."""


@dataclass(frozen=True)
class Cost:
    """Cost of one sample: of one node or of several.

    `params` counts learned numbers, `unlearned` running statistics and fixed centres; a
    parameter shared by several nodes counts at the first of them; `biases` are those of `params`
    that are added. `macs` counts multiply-adds of convolutions and fully connected layers, `bytes`
    the results. Both are None if they depend on an open size.
    """

    params: int = 0
    unlearned: int = 0
    macs: int | None = 0
    bytes: int | None = 0
    biases: int = 0

    @property
    def weights(self) -> int:
        """Learned numbers that are no biases."""
        return self.params - self.biases

    @property
    def weight_bytes(self) -> int:
        """Bytes of all parameters as float32."""
        return (self.params + self.unlearned) * FLOAT32.bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.unlearned + other.unlearned,
            _sum(self.macs, other.macs),
            _sum(self.bytes, other.bytes),
            self.biases + other.biases,
        )


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of several costs."""
    return sum(costs, start=Cost())


def node_costs(graph: Graph) -> dict[str, Cost]:
    """The cost of each node by its name, in the order of `graph.nodes()`."""
    counted: set[str] = set()
    costs = {}
    for node in graph.nodes():
        sizes = {True: 0, False: 0}
        biases = 0
        for role, expression in (item for part in node.parts for item in part.params.items()):
            for parameter in parameters_of(expression):
                if parameter.name not in counted:
                    counted.add(parameter.name)
                    size = math.prod(parameter.shape)
                    sizes[parameter.learned] += size
                    biases += size if parameter.learned and role in BIASES else 0
        activation = None if node.type.is_open else node.type.bytes
        costs[node.name] = Cost(sizes[True], sizes[False], _macs(node), activation, biases)
    return costs


def _macs(node: Node) -> int | None:
    try:
        return node.macs
    except ValueError:
        if any(kind.is_open for part in node.parts for kind in (*part.inputs, part.output)):
            return None
        raise


def graph_cost(graph: Graph) -> Cost:
    """The cost of a whole network, auxiliary heads included."""
    return total(node_costs(graph).values())
