"""Comparing targets: every node is shown, and a wrong one is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.measure.comparison import Candidates, candidates, compare, relative_error
from cnndsl.passes.pipeline import FUSIONS, inference_graph
from cnndsl.runtime.backend import CompileOptions, backend
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind

TARGETS = ("reference", "onnx", "cpu")
NETS = {
    "residual": """network net {
        input image [5, 12, 12]
        stem: conv(20, 3) -> bn -> relu
        a: add { one: conv(20, 3) -> bn -> relu -> two: conv(20, 3) -> bn | identity }
        last: relu -> head: global_avgpool -> fc(7) -> softmax }""",
    "dense": """network net {
        input image [8, 9, 9]
        block: concat { identity | left: conv(16, 1) -> relu | right: conv(8, 3) -> sigmoid }
        bn -> relu -> maxpool(2) -> final: conv(3, 3, stride=2) }""",
    "shuffled": """network net {
        input image [12, 8, 8]
        one: conv(12, 3, groups=4) -> shuffle(4) -> two: depthwise(3) -> relu6
        output maps = avgpool(2)
        output vector = global_maxpool }""",
}


def built(text: str) -> tuple[Candidates, dict[str, Array], dict[str, Array]]:
    network = cnndsl.parse(text)
    values = bind(inference_graph(network.graph).parameters(), None, seed=3).values
    image = np.random.default_rng(0).standard_normal((2, *network.graph["image"].type.shape))
    found = candidates(network, TARGETS, values, batch=2, threads=1)
    return found, values, {"image": image.astype(np.float32)}


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
                assert relative_error(value, expected[name]) < 1e-5, name
    shown = {row.name for row in result.rows if row.op != "output"}
    assert shown == {node.name for node in found.graph.nodes()} - {"image"}


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
    assert found.graph["stem"].op.name == "fused"


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
    assert relative_error(np.array(actual, np.float32), np.array(wanted)) == expected
