"""Networks of the zoo through all passes: equal outputs, and what becomes of each bn.

`python -m benchmarks.passes` does the same for every network of the zoo.
"""

from __future__ import annotations

import time

import pytest

import cnndsl
from benchmarks.passes import at_size, relative_error
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BatchNorm
from cnndsl.ir.verify import verify
from cnndsl.passes.pipeline import LEVELS, PassRun, optimise

NETWORKS = {
    "lenet5_paper": 32,
    "squeezenet1_1": 48,
    "mobilenet_v2": 32,
    "resnet18_a": 32,
    "resnet50": 32,
    "se_resnet50": 32,
    "densenet121": 32,
    "resnext50_32x4d": 32,
    "shufflenet_v1_g3_1x": 32,
    "googlenet_aux": 32,
    "resnet56_stochastic_depth": 32,
    "densenet_cifar_L40_k12": 32,
    "vgg11_bn": 32,
    "unet": 32,
}
"""With the size at which they are computed; they keep the declared one if they take no other."""


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_kept(name: str) -> None:
    graph = at_size(name, NETWORKS[name]).graph
    optimised, _ = optimise(graph, max(LEVELS), verify=True)
    assert len(optimised) < len(graph)
    assert relative_error(graph, optimised) <= 1e-9


def run_of(runs: list[PassRun], name: str) -> PassRun:
    (run,) = [run for run in runs if run.name == name]
    return run


def normalisations(graph: Graph) -> int:
    return sum(isinstance(node.op, BatchNorm) for node in graph.nodes())


@pytest.mark.parametrize(
    ("name", "back", "prologues"),
    [("densenet121", 59, 62), ("resnet50", 53, 0), ("mobilenet_v2", 52, 0)],
)
def test_what_becomes_of_each_bn(name: str, back: int, prologues: int) -> None:
    """DenseNet-121 has 121: in each of 58 layers and after the stem one folds back."""
    graph = cnndsl.parse(name).graph
    assert normalisations(graph) == back + prologues
    optimised, runs = optimise(graph, max(LEVELS))
    folded = run_of(runs, "fuse-bn").report.matched
    assert sum(fate.text.startswith("folded back") for fate in folded) == back
    assert len(run_of(runs, "prologue").report.matched) == prologues
    assert normalisations(optimised) == 0


@pytest.mark.parametrize(
    "name", ["preact_resnet110_cifar", "resnet110_bn_after_addition", "inception_v3_keras1"]
)
def test_no_bn_is_left(name: str) -> None:
    optimised, _ = optimise(cnndsl.parse(name).graph, max(LEVELS))
    assert normalisations(optimised) == 0
    verify(optimised)


def test_the_network_itself_stays_as_it_is() -> None:
    network = cnndsl.parse("resnet18")
    count = len(network.graph)
    optimise(network.graph)
    assert len(network.graph) == count
    verify(network.graph)


def test_runs_add_up() -> None:
    start = time.perf_counter()
    graph = cnndsl.parse("densenet264").graph
    optimised, runs = optimise(graph, max(LEVELS))
    assert (runs[0].before, runs[-1].after) == (len(graph), len(optimised))
    assert 0 < sum(run.seconds for run in runs) <= time.perf_counter() - start
