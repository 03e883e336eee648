"""Comparing targets: every node is shown, and a wrong one is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.measure.comparison import (
    Candidates,
    Error,
    calibrated,
    candidates,
    compare,
    error_of,
)
from cnndsl.passes.pipeline import FUSIONS, inference_graph
from cnndsl.runtime.backend import CompileOptions, backend
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind

TARGETS = ("reference", "onnx", "cpu")
NETS = {
    "residual": """network net {
        input image [5, 12, 12]
        stem: conv(20, 3)
        bn -> relu
        a: add { one: conv(20, 3)
                 bn -> relu -> two: conv(20, 3)
                 bn
               | identity }
        last: relu -> head: global_avgpool
        fc(7) -> softmax }""",
    "dense": """network net {
        input image [8, 9, 9]
        block: concat { identity
                      | left: conv(16, 1)
                        relu
                      | right: conv(8, 3)
                        sigmoid }
        bn -> relu -> maxpool(2) -> final: conv(3, 3, stride=2) }""",
    "of two sizes": """network net {
        input photo [3, 24, 24]
        input thumbnail [3, 12, 12]
        photo -> one: conv(8, 3, stride=2)
        relu
        two: concat { identity | thumbnail -> small: conv(8, 3) -> relu }
        fc(5) -> softmax }""",
    "shuffled": """network net {
        input image [12, 8, 8]
        one: conv(12, 3, groups=4)
        shuffle(4) -> two: depthwise(3)
        relu6
        output maps = avgpool(2)
        output vector = global_maxpool }""",
}


def built(text: str) -> tuple[Candidates, dict[str, Array], dict[str, Array]]:
    network = cnndsl.parse(text)
    values = bind(inference_graph(network.graph).parameters(), None, seed=3).values
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.standard_normal((2, *kind.shape)).astype(np.float32)
        for name, kind in network.inputs.items()
    }
    return candidates(network, TARGETS, values, batch=2, threads=1), values, arrays


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_all_nodes_of_all_targets_agree(text: str):
    found, values, arrays = built(text)
    result = compare(found, arrays, 1e-5)
    assert result.first_divergences() == {}
    expected = run_graph(found.graph, values, arrays, keep=[n.name for n in found.graph.nodes()])
    for module in found.modules.values():
        assert isinstance(module, Traceable)
        for name, value in module.trace(arrays).items():
            if name in expected:
                assert error_of(value, expected[name]).relative < 1e-5, name
    shown = {row.name for row in result.rows if row.op != "output"}
    assert shown == {node.name for node in found.graph.nodes()} - arrays.keys()


def test_the_first_wrong_layer_is_named():
    found, values, arrays = built(NETS["residual"])
    for target in ("onnx", "cpu"):
        wrong = {name: array.copy() for name, array in values.items()}
        wrong["one.weight"][0, 0, 0, 0] += 1.0
        module = backend(target).compile(found.graph, wrong, CompileOptions(batch=2))
        result = compare(
            replace(found, modules={**found.modules, target: module}), arrays, 1e-5
        ).first_divergences()
        assert {key: row.name for key, row in result.items()} == {target: "one"}


def test_a_pass_that_changes_the_result_shows_at_the_outputs():
    found, values, arrays = built(NETS["residual"])
    wrong = {name: array.copy() for name, array in values.items()}
    wrong["stem.weight"][0] *= 2
    written = backend("reference").compile(found.written.graph, wrong, CompileOptions())
    rows = compare(replace(found, written=written), arrays, 1e-5).first_divergences()
    assert {target: row.op for target, row in rows.items()} == dict.fromkeys(TARGETS, "output")


def test_one_value_for_one_name_although_only_one_target_fuses():
    assert backend("cpu").fusions == FUSIONS
    assert not backend("onnx").fusions
    found, _, _ = built(NETS["residual"])
    assert found.graph["stem"].is_fused


@pytest.mark.parametrize(
    ("actual", "wanted", "expected"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.0], [0.0], 0.0),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan, 1.0], [2.0, 1.0], np.inf),
        ([1.0, 2.0], [1.0], np.inf),
        ([], [], 0.0),
    ],
)
def test_relative_error(actual: list[float], wanted: list[float], expected: float):
    assert error_of(np.array(actual, np.float32), np.array(wanted)).relative == expected


def test_errors_beside_a_large_number_are_seen():
    """Of 100 numbers around 1 and one of 10,000; one of 0.5 is off by a tenth of itself."""
    wanted = np.concatenate([np.linspace(0.5, 1.5, 100), [0.0, 1e4]])
    actual = wanted.copy()
    actual[0] *= 1.1
    error = error_of(actual, wanted)
    assert error.relative == pytest.approx(0.05 / 1e4)
    assert error.local == pytest.approx(0.05 / np.median(wanted[wanted > 0]))
    assert error.snr == pytest.approx(20 * np.log10(np.linalg.norm(wanted) / 0.05))
    assert error_of(wanted, wanted) == Error(0.0, 0.0, None)


DEEP_DETECTOR = """
defaults conv(bias=false)
block unit(width) {
    add { conv(width, 3) -> bn -> silu -> mul { identity | global_avgpool -> fc(width) -> sigmoid }
          -> conv(width, 1) -> bn | identity }
}
network detector {
    input image [3, 16, 16]
    conv(16, 3) -> bn -> relu
    repeat 40 { unit(16) }
    relu -> conv(16, 3) -> relu -> conv(9, 3, bias=true) -> sigmoid
}
"""


def test_a_deep_detector_agrees_on_random_weights():
    """Its scores come from a sigmoid: errors of large logits would be errors of the scores."""
    network = cnndsl.parse(DEEP_DETECTOR)
    graph = inference_graph(network.graph)
    plain = bind(graph.parameters(), None, seed=0).values
    values = calibrated(graph, plain, 0)
    image = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    sizes = {
        name: float(np.sqrt(np.mean(np.square(result))))
        for name, result in run_graph(
            graph, values, {"image": image}, keep=[node.name for node in graph.nodes()]
        ).items()
    }
    assert 0.03 < min(sizes.values()) < max(sizes.values()) < 10
    again = calibrated(graph, plain, 0)
    assert all(np.array_equal(values[name], again[name]) for name in values)
    found = candidates(network, ("reference", "onnx"), values)
    assert compare(found, {"image": image}, 1e-4).first_divergences() == {}
