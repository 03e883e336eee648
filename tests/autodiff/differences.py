"""Gradients by difference quotients in float64, of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array

STEP = 1e-6
"""The distance of what is compared; the quotients below have errors of its sixth power."""
WEIGHTS = {-3: -1 / 60, -2: 3 / 20, -1: -3 / 4, 1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
"""Of the values around a point, over the step (Fornberg 1988, table 1)."""


def quotient(value: Callable[[float], float]) -> float:
    """The derivative at 0."""
    return sum(w * value(k * STEP) for k, w in WEIGHTS.items()) / STEP


def along(
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    seeds: Mapping[str, Array],
    direction: Mapping[str, Array],
) -> float:
    """The derivative of the sum of outputs times seeds along a direction in all arrays."""

    def value(distance: float) -> float:
        def moved(arrays: Mapping[str, Array]) -> dict[str, Array]:
            return {n: a + distance * direction.get(n, 0.0) for n, a in arrays.items()}

        results = run_graph(graph, moved(values), moved(inputs))
        return float(sum((results[name] * seed).sum() for name, seed in seeds.items()))

    return quotient(value)


def directions(arrays: Mapping[str, Array], count: int) -> Iterator[dict[str, Array]]:
    """Random ones, in all arrays at once."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield {name: random.normal(size=array.shape) for name, array in arrays.items()}
