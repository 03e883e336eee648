"""Weights for comparisons: nothing in them is neutral, and activations stay in range."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.kernels import KERNELS
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import BatchNorm, Input
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import Evaluator
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
    """Lively weights in float32 whose bn statistics are about those of a random input.

    So activations keep their size however deep the network is, as in a trained one. The graph's
    sizes are known; it is computed once if it has a bn.
    """
    values = {name: a.astype(np.float32) for name, a in lively_weights(graph, seed).items()}
    plain = inference_graph(graph)
    if not any(isinstance(node.op, BatchNorm) for node in plain.nodes()):
        return values
    rng = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for node in plain.nodes():
        operands = [tensors[producer.name] for producer in plain.producers(node)]
        if isinstance(node.op, Input):
            sizes = [size for size in node.type.shape if isinstance(size, int)]
            tensors[node.name] = rng.normal(size=(1, *sizes)).astype(np.float32)
            continue
        if isinstance(node.op, BatchNorm):
            _calibrate(node, operands[0], values)
        evaluate = Evaluator(values)
        params = {role: evaluate(e, "float32") for role, e in node.params.items()}
        tensors[node.name] = KERNELS[type(node.op)](node.op, operands, params)
    return values


def _calibrate(node: Node, operand: Array, values: dict[str, Array]) -> None:
    """Move the statistics to the operand's over all channels, which small maps suffice for."""
    names = {role: e.name for role, e in node.params.items() if isinstance(e, Parameter)}
    deviation = operand.std()
    values[names["running_var"]] *= deviation**2
    values[names["running_mean"]] *= deviation
    values[names["running_mean"]] += operand.mean()
