"""Budgets: what a network may cost at most."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics.units import bytes_of, count_of
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import FLOAT32
from cnndsl.memory import Options, plan, require_known_sizes
from cnndsl.passes.pipeline import inference_graph, optimise


@dataclass(frozen=True)
class Budget:
    """A quantity and the most that it may be."""

    quantity: str
    limit: int

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From `arena=2MB`. Raises ValueError for what it cannot be, with the reason."""
        quantity, equals, limit = text.partition("=")
        if not equals or quantity not in QUANTITIES:
            raise ValueError(f"{text!r} is not QUANTITY=LIMIT of {', '.join(QUANTITIES)}")
        return cls(quantity, QUANTITIES[quantity].read(limit))


@dataclass(frozen=True)
class Quantity:
    """What is measured of a network as it is written, and how limits for it are read."""

    measure: Callable[[Graph], int]
    read: Callable[[str], int]


@dataclass(frozen=True)
class Spent:
    """A budget and what the network takes of it."""

    budget: Budget
    amount: int

    @property
    def is_kept(self) -> bool:
        """Whether it is not more than the limit."""
        return self.amount <= self.budget.limit


def _weights(graph: Graph) -> int:
    parameters = inference_graph(graph).parameters().values()
    return sum(FLOAT32.bytes * math.prod(parameter.shape) for parameter in parameters)


def _arena(graph: Graph) -> int:
    require_known_sizes(graph)
    return plan(optimise(graph)[0], Options()).arena_bytes


def _macs(graph: Graph) -> int:
    require_known_sizes(graph)
    return graph_cost(graph).macs or 0


QUANTITIES: Mapping[str, Quantity] = {
    "params": Quantity(lambda graph: graph_cost(graph).params, count_of),
    "macs": Quantity(_macs, count_of),
    "weights": Quantity(_weights, bytes_of),
    "arena": Quantity(_arena, bytes_of),
}
"""`params` are learned numbers, `macs` multiply-adds of a sample, `weights` bytes of all arrays in
float32, `arena` bytes of the tensors of a sample in the optimised network."""


def spent(graph: Graph, budgets: Sequence[Budget]) -> list[Spent]:
    """What the network takes of each. Raises CnnError (E0611) if it needs a size that is open."""
    return [Spent(budget, QUANTITIES[budget.quantity].measure(graph)) for budget in budgets]
