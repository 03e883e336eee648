"""Paths through a network: how many there are of each length, and how deep it is in training.

A network with joins is read as the sum of its paths; n residual units make 2^n of them, whose
lengths are binomial. Source: Veit, Wilber, Belongie (2016), Residual networks behave like ensembles
of relatively shallow networks, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any

from cnndsl.analysis.layers import has_weights
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import DropPath, StochasticDepth

MOST = Fraction(95, 100)
"""The share of all paths whose lengths are told as a range."""


@dataclass(frozen=True)
class Paths:
    """The number of paths of each length, from 0 to the network's depth.

    A path leads from an input along the edges of the graph to an output, auxiliary ones left out;
    its length are the layers with weights on it, as in `weighted_depth`. `survivals` are the
    probabilities of the units that may be left out in training.
    """

    counts: tuple[int, ...]
    survivals: tuple[float, ...] = ()

    @property
    def total(self) -> int:
        """The number of all paths."""
        return sum(self.counts)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of which there are paths, the shortest first."""
        return tuple(length for length, count in enumerate(self.counts) if count)

    @property
    def mean(self) -> float:
        """The mean length of all paths."""
        return float(self._moment(1))

    @property
    def deviation(self) -> float:
        """The standard deviation of the lengths of all paths."""
        return math.sqrt(self._moment(2) - self._moment(1) ** 2)

    def _moment(self, power: int) -> Fraction:
        return Fraction(sum(n * length**power for length, n in enumerate(self.counts)), self.total)

    @property
    def most(self) -> tuple[int, int]:
        """The range of lengths of the middle 95 % of all paths."""
        tail = (1 - MOST) / 2 * self.total
        sums = list(accumulate(self.counts))
        low = next(length for length, below in enumerate(sums) if below > tail)
        high = next(length for length, below in enumerate(sums) if self.total - below <= tail)
        return low, high

    @property
    def expected_units(self) -> float:
        """How many of the units that may be left out survive in the mean of all steps.

        Source: Huang et al. (2016), Deep networks with stochastic depth, section 3: E(L) is the sum
        of all probabilities.
        """
        return math.fsum(self.survivals)

    def as_dict(self, gradients: Mapping[int, float] | None = None) -> dict[str, Any]:
        """Everything, for machines, with exact counts, and `gradients` of a path by its length."""
        units = {"count": len(self.survivals), "expected": self.expected_units}
        lengths = {
            "shortest": self.lengths[0],
            "longest": self.lengths[-1],
            "mean": self.mean,
            "deviation": self.deviation,
            "most": list(self.most),
        } if self.total else {}  # fmt: skip
        return {
            "paths": self.total,
            **lengths,
            "stochastic_depth": units if self.survivals else None,
            "lengths": [
                {
                    "length": n,
                    "paths": self.counts[n],
                    "share": self.counts[n] / self.total,
                    **({} if gradients is None else {"gradient": gradients.get(n)}),
                }
                for n in self.lengths
            ],
        }


def paths(graph: Graph) -> Paths:
    """The paths of a graph as it is written.

    Takes time in proportion to the graph's size and its depth, however many paths there are.
    """
    bits = _whole(graph, 0).bit_length()
    packed = _whole(graph, bits)
    digits = range(0, packed.bit_length(), max(bits, 1))
    counts = tuple((packed >> place) & ((1 << bits) - 1) for place in digits)
    return Paths(counts, tuple(_survivals(graph)))


def before(graph: Graph, bits: int) -> Iterator[tuple[Node, int]]:
    """Each node with the paths from inputs to its result, as a polynomial in the length.

    The coefficient of z^n is the number of paths of length n. A polynomial is one integer, with so
    many bits for each coefficient; with 0 bits it is the number of all paths.
    """
    found: dict[str, int] = {}
    uses = dict(graph.nx.out_degree())
    for node in graph.nodes():
        total = 1 if node.name in graph.inputs else 0
        for producer in graph.producers(node):
            total += found[producer.name]
            uses[producer.name] -= 1
            if not uses[producer.name]:
                del found[producer.name]
        found[node.name] = total << (bits * length_of(node))
        yield node, found[node.name]


def length_of(node: Node) -> int:
    """What a node adds to the length of a path."""
    return sum(has_weights(part.op) for part in node.parts)


def _whole(graph: Graph, bits: int) -> int:
    """The polynomial of all outputs."""
    ends = list(graph.outputs.values())
    return sum(ends.count(node.name) * packed for node, packed in before(graph, bits))


def _survivals(graph: Graph) -> Iterator[float]:
    """Of each unit that training may leave out."""
    for node in graph.nodes():
        for part in node.parts:
            if isinstance(part.op, StochasticDepth):
                yield part.op.survival
            elif isinstance(part.op, DropPath):
                yield 1 - part.op.rate
