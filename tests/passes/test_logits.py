"""Scores in the place of probabilities."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from cnndsl.passes.logits import with_logits

TEXT = """network n {
    input x [3, 6, 6]
    let scores = conv(4, 3) -> global_avgpool -> fc(5)
    output classes = scores -> softmax
    output mask = conv(1, 1) -> sigmoid
    output logs = scores -> log_softmax
    output raw = scores -> relu
    output both = conv(2, 1) -> softmax
    output again = both -> maxpool(2)
}"""
X = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_probabilities_follow_from_the_scores(target: str):
    given = cnndsl.compile(TEXT, target, seed=0)(X)
    scores = cnndsl.compile(TEXT, target, seed=0, logits=True)(X)
    assert isinstance(given, dict)
    assert isinstance(scores, dict)

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(1, keepdims=True)

    for name, function in (
        ("classes", softmax),
        ("mask", lambda x: 1 / (1 + np.exp(-x))),
        ("logs", lambda x: np.log(softmax(x))),
        ("raw", lambda x: x),
        ("both", softmax),
        ("again", lambda x: x),
    ):
        np.testing.assert_allclose(function(scores[name]), given[name], rtol=1e-4, atol=1e-6)
        changes = name not in ("raw", "again")
        assert np.allclose(scores[name], given[name]) != changes, name


def test_what_nothing_reads_any_more_is_gone():
    graph = cnndsl.parse(TEXT).graph
    names = {node.name for node in graph.nodes()}
    left = {node.name for node in with_logits(graph).nodes()}
    assert names - left == {"softmax1", "sigmoid1", "log_softmax1"}
    assert {node.name for node in graph.nodes()} == names


def test_auxiliary_outputs_end_with_scores_too():
    graph = with_logits(cnndsl.parse("googlenet_aux").graph)
    made = [*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())]
    assert [graph[node].op.name for node in made] == ["fc"] * 3
    assert [aux.weight for aux in graph.auxiliaries.values()] == [0.3, 0.3]
    assert not any(node.op.name == "softmax" for node in graph.nodes())


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "mobilenet_v2", "unet", "lenet5_rbf_out"])
def test_networks_of_the_zoo_end_with_scores(name: str):
    graph = with_logits(cnndsl.parse(name).graph)
    last = {graph[node].op.name for node in graph.outputs.values()}
    assert last <= {"fc", "conv", "rbf"}
