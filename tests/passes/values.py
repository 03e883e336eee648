"""Random values for the parameters of graphs."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array

VARIANCES = (1e-8, 0.3, 2.0)
MEANS = (0.0, 1.0, 100.0)


def nasty_values(graph: Graph, seed: int) -> dict[str, Array]:
    """float64 values by name; statistics from VARIANCES and MEANS, scales of both signs."""
    rng = np.random.default_rng(seed)

    def value(name: str, shape: tuple[int, ...]) -> Array:
        if name.endswith("running_var"):
            return rng.choice(VARIANCES, shape)
        if name.endswith("running_mean"):
            return rng.choice(MEANS, shape)
        fan_in = max(1, math.prod(shape[1:]))
        return rng.normal(size=shape) / math.sqrt(fan_in)

    return {name: value(name, p.shape) for name, p in graph.parameters().items()}
