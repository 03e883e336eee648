"""What is computed again on the way back instead of kept, so that it needs less memory.

Source: Chen et al. (2016), Training deep nets with sublinear memory cost; what is cheap to compute
again, Pleiss et al. (2017), Memory-efficient implementation of DenseNets, section 3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection
from functools import cache

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.units import si
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Activation, Affine, BatchNormalise, Groupwise, Scale
from cnndsl.memory import Options, peak_bytes, plan

CHEAP = (Activation, Affine, BatchNormalise, Groupwise, Scale)
"""Operators with a few operations for each number. Joins are not among them: what is computed again
then begins at the join before, however deep the network is."""


def cheap(graph: Graph) -> list[str]:
    """The nodes whose results are cheap to compute again, the largest first."""
    nodes = [node for node in graph.nodes() if isinstance(node.op, CHEAP) and not node.is_fused]
    return [node.name for node in sorted(nodes, key=lambda node: -node.type.elements)]


def options_for(graph: Graph, batch: int) -> Options:
    """What a plan is asked for: inputs and outputs lie elsewhere."""
    return Options(batch, external=frozenset([*graph.inputs, *graph.outputs.values()]))


def within(
    most: int, batch: int, names: list[str], made: Callable[[Collection[str]], Graph]
) -> Graph:
    """The graph that computes as few results again as a planned arena of `most` bytes allows.

    `made` is the graph with some of the results computed again, of those that `names` lists in the
    order in which they are chosen. Inputs and outputs do not count. Raises CnnError (E0630) if all
    of them are not enough.
    """

    @cache
    def tried(count: int) -> tuple[Graph, Options]:
        graph = made(names[:count])
        return graph, options_for(graph, batch)

    def fits(count: int) -> bool:
        return peak_bytes(*tried(count)) <= most

    count = bisect_left(range(len(names)), True, key=fits)
    while count <= len(names):
        if fits(count) and plan(*tried(count)).arena_bytes <= most:
            return tried(count)[0]
        count += max(1, (len(names) - count) // 2)
    least = peak_bytes(*tried(len(names)))
    message = f"gradients need {si(least, 'B')} for a batch of {batch}, not {si(most, 'B')}"
    raise CnnError.of("E0630", message, hint="a smaller batch needs less")
