"""Weights that keep activations moderate, and a comparison relative to the largest value."""

from __future__ import annotations

import numpy as np

from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import initialise


def lively_weights(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Seeded weights whose biases and normalisations are not neutral; float64, by name."""
    values: dict[str, Array] = {}
    rng = np.random.default_rng(seed)
    for name, array in initialise(graph.parameters(), seed).items():
        values[name] = array.astype(np.float64)
        if name.endswith("running_var"):
            values[name] *= rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1 or name.endswith("bias"):
            values[name] += 0.3 * rng.normal(size=array.shape)
    return values


def assert_close(actual: Array, expected: Array, tolerance: float) -> None:
    """Equal shapes, and differences within the tolerance relative to the largest value."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()
