"""Weights for comparisons: nothing in them is neutral, and activations stay in range."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.calibrate import calibrated
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import inference_graph
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


def calibrated_weights(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Lively weights in float32 with which every layer makes numbers of unit size.

    So activations keep their size however deep the network is, as in a trained one. The graph's
    sizes are known; it is computed once.
    """
    values = {name: a.astype(np.float32) for name, a in lively_weights(graph, seed).items()}
    rng = np.random.default_rng(seed)
    inputs = {}
    for name in graph.inputs:
        sizes = [size for size in graph[name].type.shape if isinstance(size, int)]
        inputs[name] = rng.standard_normal((1, *sizes), np.float32)
    return calibrated(inference_graph(graph), values, inputs)
