"""How much gradient single paths carry, by their length.

Of each length some paths are drawn, all with the same probability, and the gradient of the winning
score goes back to the inputs along these alone: at every join through one operand. Source: Veit,
Wilber, Belongie (2016), Residual networks behave like ensembles of relatively shallow networks,
section 5.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from cnndsl.analysis.paths import before, length_of, paths
from cnndsl.api import compile as compile_network
from cnndsl.autodiff.backward import gradients_by
from cnndsl.autodiff.builder import Builder
from cnndsl.autodiff.gradients import SUFFIX, seeds_of
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Input
from cnndsl.network import Network
from cnndsl.passes.dead_code import DeadCode
from cnndsl.passes.logits import with_logits
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.options import Progress, silent

BATCH = 8
"""Paths that go through together."""


@dataclass(frozen=True)
class Path:
    """A path by its operands at joins, (node, number), and the output that it ends at."""

    length: int
    output: str
    turns: frozenset[tuple[str, int]]


def path_gradients(
    network: Network,
    inputs: Mapping[str, Array] | None = None,
    *,
    samples: int = 8,
    draws: int = 0,
    target: str = "onnx",
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    weights_map: str | PathLike[str] | None = None,
    seed: int | None = None,
    progress: Progress = silent,
) -> dict[int, float]:
    """The mean Euclidean norm of the gradients by the inputs, by length of path.

    The score is the largest element of an output before a last softmax. `inputs` are samples
    [samples, *shape], which the paths take by turns; without them it is one of normal random
    numbers from `draws`, which the paths come from as well. `weights`, `weights_map` and `seed` are
    as for `cnndsl.compile`. Raises CnnError as that and `cnndsl.gradients` do.
    """
    graph = with_logits(network.graph)
    graph.auxiliaries = {}
    plain = Network(graph, weights=network.weights)
    arrays = _own(graph, network.arrays(weights, weights_map))
    forward = compile_network(plain, target, weights=arrays, seed=seed)
    given = dict(inputs) if inputs else _random(graph, draws)
    backward = compile_network(Network(with_masks(graph)), target, weights=arrays, seed=seed)
    drawn = list(draw(graph, samples, draws))
    count = min(map(len, given.values()))
    found: dict[int, list[float]] = {}
    for start in range(0, len(drawn), BATCH):
        some = drawn[start : start + BATCH]
        turns = [number % count for number in range(start, start + len(some))]
        own = {name: array[turns] for name, array in given.items()}
        made = backward.run(_fed(backward, some, own, forward.run(own)))
        squares = sum(
            (array.astype(np.float64) ** 2).reshape(len(some), -1).sum(1) for array in made.values()
        )
        for path, square in zip(some, np.asarray(squares), strict=True):
            found.setdefault(path.length, []).append(float(np.sqrt(square)))
        progress("gradients", min(start + BATCH, len(drawn)), len(drawn))
    return {length: float(np.mean(norms)) for length, norms in found.items()}


def with_masks(graph: Graph) -> Graph:
    """The gradients of outputs by inputs, with a factor for each operand of a join.

    The factors are inputs of one number for each sample, by `mask`.
    """

    def along(whole: Graph, node: Node, index: int, gradient: Node) -> Node:
        if len(graph.producers(graph[node.name])) < 2:
            return gradient
        factor = whole.add(mask(node.name, index), Input((1,)), [])
        whole.inputs.append(factor.name)
        return Builder(whole, f"{node.name}.path").product(gradient, factor)

    result, inputs = graph.copy(), list(graph.inputs)
    found = gradients_by(result, seeds_of(result), (), inputs, along=along)
    result.outputs = {f"{name}{SUFFIX}": node.name for name, node in found.items()}
    DeadCode().run(result)
    return result


def mask(name: str, index: int) -> str:
    """The input that is the factor of an operand of a join."""
    return f"{name}.from{index}"


def draw(graph: Graph, samples: int, seed: int) -> Iterator[Path]:
    """Some paths of each length, with replacement, each as likely as any other of its length."""
    counts = paths(graph)
    bits = counts.total.bit_length()
    packed = {node.name: number for node, number in before(graph, bits)}
    chance = random.Random(seed)

    def ways(name: str, length: int) -> int:
        return (packed[name] >> (bits * length)) & ((1 << bits) - 1) if length >= 0 else 0

    def choose(names: Sequence[str], length: int) -> int:
        at = chance.randrange(sum(ways(name, length) for name in names))
        for index, name in enumerate(names):
            at -= ways(name, length)
            if at < 0:
                return index
        raise AssertionError("no way is left")

    ends = list(graph.outputs.items())
    for length in counts.lengths:
        for _ in range(samples):
            output, name = ends[choose([node for _, node in ends], length)]
            turns, rest = set(), length
            while True:
                node = graph[name]
                rest -= length_of(node)
                names = [producer.name for producer in graph.producers(node)]
                if not names:
                    break
                index = choose(names, rest)
                if len(names) > 1:
                    turns.add((name, index))
                name = names[index]
            yield Path(length, output, frozenset(turns))


def _fed(
    module: Module, some: Sequence[Path], given: Mapping[str, Array], scores: Mapping[str, Array]
) -> dict[str, Array]:
    """The inputs of the gradients of some paths: samples, scores that are asked for, factors.

    `given` and `scores` have the sample of each path.
    """
    feed: dict[str, Array] = {}
    for port in module.inputs:
        name = port.name
        if name in given:
            feed[name] = given[name]
        elif name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in scores:
            output = name.removesuffix(SUFFIX)
            values = scores[output].reshape(len(some), -1)
            winners = np.zeros_like(values)
            own = [index for index, path in enumerate(some) if path.output == output]
            winners[own, values[own].argmax(1)] = 1
            feed[name] = winners.reshape(scores[output].shape)
        else:
            node, _, index = name.rpartition(".from")
            factors = [(node, int(index)) in path.turns for path in some]
            feed[name] = np.array(factors, np.float32)[:, None]
    return feed


def _random(graph: Graph, seed: int) -> dict[str, Array]:
    chance = np.random.default_rng(seed)
    return {
        name: chance.standard_normal((1, *graph[name].type.sizes), np.float32)
        for name in graph.inputs
    }


def _own(graph: Graph, arrays: Mapping[str, Array] | None) -> Mapping[str, Array] | None:
    """Those of the arrays that the outputs depend on."""
    if arrays is None:
        return None
    from cnndsl.passes.pipeline import inference_graph

    return {n: arrays[n] for n in inference_graph(graph).parameters() if n in arrays}
