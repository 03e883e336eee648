"""Starting weights for one network, by running it: values of unit size at every layer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cnndsl.backends.numpy.run import node_params, run_node
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BatchNorm, Input
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import VARIANCES


def calibrated(
    graph: Graph, values: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """The values with each weight scaled so that its layer's results have mean square 1.

    A bn gets mean and variance of all that it reads. Layer by layer, first to last, on `inputs`
    (Mishkin and Matas 2016, All you need is a good init); a shared parameter is set where it is
    read first. Factors have three digits, so that they are the same on every machine.
    """
    found, done = dict(values), set[str]()
    results: dict[str, Array] = {}

    def change(expression: Expression, factor: float, shift: float = 0.0) -> float:
        """The factor by which a parameter has been changed."""
        if not isinstance(expression, Parameter) or expression.name in done:
            return 1.0
        done.add(expression.name)
        factor, shift = float(f"{factor:.2e}"), float(f"{shift:.2e}")
        found[expression.name] = (found[expression.name] * factor + shift).astype(np.float32)
        return factor

    for node in graph.nodes():
        if isinstance(node.op, Input):
            results[node.name] = inputs[node.name]
            continue
        operands = [results[operand.name] for operand in graph.producers(node)]
        if isinstance(node.op, BatchNorm):
            change(node.params["running_var"], _square(operands[0] - operands[0].mean()))
            change(node.params["running_mean"], 1.0, float(operands[0].mean(dtype=np.float64)))
        result = run_node(node, operands, node_params(node, found, "float32"))
        for weight in node.params.values():
            if isinstance(weight, Parameter) and weight.init in VARIANCES:
                result = result * np.float32(change(weight, 1 / math.sqrt(_square(result))))
        results[node.name] = result
    return found


def _square(x: Array) -> float:
    """The mean square; 1 for zeros."""
    return float(np.square(x, dtype=np.float64).mean()) or 1.0
