"""Levels, what is left out, and what the passes report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.ir.operators import BatchNorm, Dropout
from cnndsl.ir.text import graph_text
from cnndsl.passes.pipeline import FUSIONS, LEVELS, inference_graph, optimise, passes
from tests.onnx.support import start, then

NETWORK = """
network small {
    input image [3, 8, 8]
    conv(4, 3) -> bn -> relu -> dropout(0.5)
    maxpool(2) -> relu
    bn -> relu -> conv(4, 3) -> bn
    global_avgpool -> fc(2)
}
"""


@pytest.fixture
def network(tmp_path) -> cnndsl.Network:
    path = tmp_path / "small.cnn"
    path.write_text(NETWORK)
    return cnndsl.parse(path)


def names_of(runs) -> list[str]:
    return [run.name for run in runs]


def test_levels_only_grow(network: cnndsl.Network) -> None:
    names = {level: {step.name for step in steps} for level, steps in LEVELS.items()}
    sizes = {level: len(optimise(network.graph, level)[0]) for level in LEVELS}
    for level in list(LEVELS)[1:]:
        assert names[level - 1] <= names[level]
        assert sizes[level] <= sizes[level - 1]
    assert {step.name for step in passes()} == set.union(*names.values())


def test_level_0_is_inference(network: cnndsl.Network) -> None:
    graph = inference_graph(network.graph)
    kinds = [type(node.op) for node in graph.nodes()]
    assert Dropout not in kinds
    assert kinds.count(BatchNorm) == 3


def test_only_fusions_that_a_backend_takes(network: cnndsl.Network) -> None:
    graph, runs = optimise(network.graph, fusions=())
    assert not FUSIONS & set(names_of(runs))
    assert not any(node.is_fused for node in graph.nodes())
    assert sum(isinstance(node.op, BatchNorm) for node in graph.nodes()) == 1
    graph, runs = optimise(network.graph, fusions=("prologue",))
    assert "epilogue" not in names_of(runs)
    assert sum(isinstance(node.op, BatchNorm) for node in graph.nodes()) == 0


def test_disable_and_until(network: cnndsl.Network) -> None:
    _, runs = optimise(network.graph, disable=("no-ops", "fuse-bn"))
    assert not {"no-ops", "fuse-bn"} & set(names_of(runs))
    graph, runs = optimise(network.graph, until="fuse-bn")
    assert names_of(runs)[-1] == "fuse-bn"
    assert not any(node.is_fused for node in graph.nodes())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": 4}, "no level 4"),
        ({"disable": ("fuse",)}, "no pass 'fuse'"),
        ({"until": "everything"}, "no pass 'everything'"),
        ({"level": 0, "until": "fuse-bn"}, "does not run"),
    ],
)
def test_wrong_calls(network: cnndsl.Network, wrong: Mapping[str, object], message: str) -> None:
    with pytest.raises(CnnError, match=message) as caught:
        optimise(network.graph, **wrong)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == "E0610"


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_compiled_modules_agree_at_all_levels(network: cnndsl.Network, target: str) -> None:
    image = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    results = [
        np.asarray(cnndsl.compile(network, target, seed=0, level=level)(image)) for level in LEVELS
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-5)
    without = cnndsl.compile(network, target, seed=0, disable=("fuse-bn",))
    np.testing.assert_allclose(np.asarray(without(image)), results[0], rtol=1e-4, atol=1e-5)


def test_weights_are_asked_for_by_their_names_at_all_levels(network: cnndsl.Network) -> None:
    names = set(inference_graph(network.graph).parameters())
    for level in LEVELS:
        with pytest.raises(CnnError) as caught:
            cnndsl.compile(network, weights={}, level=level)
        notes = caught.value.diagnostics[0].notes
        assert all(any(name in note.text for name in names) for note in notes[:3])


def test_fused_nodes_keep_all_spans(network: cnndsl.Network) -> None:
    before = {span for node in network.graph.nodes() for span in node.spans}
    graph, runs = optimise(network.graph)
    after = {span for node in graph.nodes() for span in node.spans}
    removed = {
        fate.node
        for run in runs
        for fate in run.report.matched
        if run.name in ("training-only", "no-ops", "rectified", "dead-code")
    }
    lost = {span for name in removed for span in network.graph[name].spans}
    assert before - lost <= after


def test_long_chains_of_maps(tmp_path) -> None:
    """Expressions get deeper than Python can recurse."""
    path = tmp_path / "deep.cnn"
    path.write_text("network deep { input x [2]\n fc(2) -> relu\n repeat 600 { bn }\n tanh }")
    network = cnndsl.parse(path)
    graph, _ = optimise(network.graph, verify=True)
    assert len(graph) == 2
    assert "..." in graph_text(graph)
    x = np.array([0.3, -0.2], np.float32)
    plain, folded = (
        np.asarray(cnndsl.compile(network, "reference", seed=0, level=level)(x)) for level in (0, 2)
    )
    np.testing.assert_allclose(folded, plain, rtol=1e-4)


def test_a_map_before_a_dead_activation_stays_without_the_dead_code_pass():
    graph, x = start(4, 6, 6)
    node = then(graph, "bn", "bn", x)
    then(graph, "dead", "relu", node)
    node = then(graph, "y", "conv", node, filters=4, kernel=3)
    graph.outputs = {"out": node.name}
    optimised, _ = optimise(graph, disable={"dead-code", "fuse-bn"}, verify=True)
    assert "bn" in optimised
    assert "bn" not in optimise(graph, disable={"fuse-bn"}, verify=True)[0]
