"""Every network of the zoo through all passes: nodes, time, and the error against no passes.

    python -m benchmarks.passes [NETWORK ...] [--size 64]

The outputs of the reference backend in float64, before and after, with statistics of batch
normalisation that hurt: scales of both signs, variances down to 1e-8, large means. Maps are
computed at `--size` instead of the declared size where a network allows it. A network that
enlarges the rounding errors of float64 too much to tell is computed anew in numpy's longdouble.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import cnndsl
from cnndsl.backends.numpy.run import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BatchNorm, Softmax
from cnndsl.passes.pipeline import LEVELS, inference_graph, optimise
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import initialise

VARIANCES = (1e-8, 0.3, 2.0)
TOLERANCE = 1e-9
MEANS = (-3.0, 0.0, 1.0, 30.0)


def nasty_values(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Float64 values for all parameters by name, such that deep networks stay in range.

    A scale of bn is its sqrt(variance + eps) times a factor of either sign, from 0.5 to 1.
    """
    values = {n: v.astype(np.float64) for n, v in initialise(graph.parameters(), seed).items()}
    rng = np.random.default_rng(seed)
    for node in graph.nodes():
        if not isinstance(node.op, BatchNorm):
            continue
        names = {role: e.name for role, e in node.params.items() if isinstance(e, Parameter)}
        channels = node.type.channels
        variance = rng.choice(VARIANCES, channels)
        factor = rng.uniform(0.5, 1, channels) * rng.choice((-1, 1), channels)
        values[names["running_var"]] = variance
        values[names["running_mean"]] = rng.choice(MEANS, channels)
        values[names["weight"]] = factor * np.sqrt(variance + node.op.eps)
        values[names["bias"]] = rng.normal(size=channels)
    return values


def relative_error(graph: Graph, optimised: Graph, dtype: str = "float64") -> float:
    """The largest difference of two graphs' outputs, relative to the output's largest number.

    Softmax would hide differences, so its operand is compared.
    """
    plain = inference_graph(graph)
    values = {name: array.astype(dtype) for name, array in nasty_values(plain).items()}
    rng = np.random.default_rng(1)
    inputs = {name: rng.normal(size=(1, *_sizes(graph, name))) for name in graph.inputs}
    pairs = [(_scores(plain, name), _scores(optimised, name)) for name in plain.outputs]
    expected = run_graph(plain, values, inputs, dtype, [before for before, _ in pairs])
    found = run_graph(optimised, values, inputs, dtype, [after for _, after in pairs])
    return max(
        float(np.abs(found[after] - expected[before]).max() / np.abs(expected[before]).max())
        for before, after in pairs
    )


def _sizes(graph: Graph, name: str) -> list[int]:
    return [size for size in graph[name].type.shape if isinstance(size, int)]


def _scores(graph: Graph, output: str) -> str:
    """The node that makes an output, or what goes into its softmax."""
    node = graph[graph.outputs[output]]
    return graph.producers(node)[0].name if isinstance(node.op, Softmax) else node.name


def at_size(name: str, size: int) -> cnndsl.Network:
    """A network with maps of at most that size, or as declared if it takes no other."""
    network = cnndsl.parse(name)
    shapes = {}
    for port in network.graph.inputs:
        kind = network.graph[port].type
        shapes[port] = (kind.channels, *(min(size, n) for n in kind.spatial if isinstance(n, int)))
    try:
        return cnndsl.parse(name, input_shapes=shapes)
    except CnnError:
        return network


def main() -> None:
    """Print one line for each network; exit 1 if an error is above 1e-9."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    failed = []
    for name in arguments.networks or sorted(cnndsl.zoo()):
        try:
            graph = at_size(name, arguments.size).graph
        except CnnError as error:
            print(f"{name:<32} left out: {error.diagnostics[0].message}")
            continue
        start = time.perf_counter()
        optimised, _ = optimise(graph, max(LEVELS))
        seconds = time.perf_counter() - start
        found = [relative_error(graph, optimised)]
        if not found[0] <= TOLERANCE:
            found.append(relative_error(graph, optimised, "longdouble"))
        failed += [] if found[-1] <= TOLERANCE else [name]
        errors = ", in longdouble ".join(f"{error:.1e}" for error in found)
        print(f"{name:<32} {len(graph):5} -> {len(optimised):4} {seconds:6.2f} s {errors}")
    raise SystemExit(f"different outputs: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
