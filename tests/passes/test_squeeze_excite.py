"""The operator squeeze_excite against loops, and the pass that makes it."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, find, settings

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.backends.numpy.run import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Add, Conv, Input, Relu, SqueezeExcite
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.memory import Options, Use, plan
from cnndsl.passes.pipeline import inference_graph, optimise
from tests.onnx.support import assert_close, compiled, start
from tests.operators.cases import Chain, apply, apply_chain, parameter_values
from tests.passes.random_graphs import Sample, samples

FUNCTIONS = {
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
}
FORMS = (SqueezeExcite(2), SqueezeExcite(3, "silu", "hard_sigmoid"))


def graph_of(op: SqueezeExcite, *shape: int) -> Graph:
    graph, x = start(*shape)
    apply(graph, "y", op, [x])
    graph.outputs = {"out": "y"}
    return graph


def by_loops(op: SqueezeExcite, x: np.ndarray, params: dict[str, np.ndarray]) -> np.ndarray:
    """One sample [channels, rows, columns], as the docstring of the operator says."""
    means = [sum(plane.ravel()) / plane.size for plane in x]
    hidden = [
        FUNCTIONS[op.activation](sum(w * z for w, z in zip(row, means, strict=True)) + b)
        for row, b in zip(params["w1"], params["b1"], strict=True)
    ]
    factors = [
        FUNCTIONS[op.gate](sum(w * h for w, h in zip(row, hidden, strict=True)) + b)
        for row, b in zip(params["w2"], params["b2"], strict=True)
    ]
    return np.stack([factor * plane for factor, plane in zip(factors, x, strict=True)])


@pytest.mark.parametrize("op", FORMS, ids=lambda op: op.gate)
def test_reference_and_onnx_against_loops(op: SqueezeExcite) -> None:
    graph = graph_of(op, 5, 4, 3)
    values = parameter_values(graph, 1)
    inputs = {"image": np.random.default_rng(2).normal(size=(2, 5, 4, 3))}
    params = {name.removeprefix("y."): array for name, array in values.items()}
    expected = np.stack([by_loops(op, x, params) for x in inputs["image"]])
    np.testing.assert_allclose(run_graph(graph, values, inputs)["out"], expected, rtol=1e-12)
    module = compiled(graph, seed=1)
    assert_close(np.asarray(module.run({"image": inputs["image"].astype(np.float32)})["out"]),
                 expected)  # fmt: skip


def test_a_vector_is_refused() -> None:
    with pytest.raises(OperatorError, match="squeeze_excite needs"):
        FORMS[0].infer([Input((5,)).infer([])])


def test_survives_an_artefact() -> None:
    graph, x = start(4, 6, 6)
    apply_chain(graph, "y", Chain(FORMS[1], (), (Add(), Relu())), [x, x])
    graph.outputs = {"out": apply(graph, "z", FORMS[0], [graph["y"]]).name}
    again = from_json(json.loads(json.dumps(to_json(graph))))
    assert [node.op for node in again.nodes()] == [node.op for node in graph.nodes()]
    broken = json.loads(json.dumps(to_json(graph)))
    broken["nodes"][-1]["parts"][0]["attributes"]["gate"] = "softmax"
    with pytest.raises(ValueError, match="gate takes one of"):
        from_json(broken)


def test_every_block_of_a_network_becomes_one_operator() -> None:
    """SE-ResNet-50 has 16; its adds follow 12 of them and 4 projections."""
    graph = cnndsl.parse("se_resnet50").graph
    optimised, _ = optimise(graph)
    kinds = Counter(type(node.op) for node in optimised.nodes())
    assert kinds[SqueezeExcite] == 16
    assert {kind.name for kind in kinds} == {
        "input", "conv", "maxpool", "squeeze_excite", "global_avgpool", "fc", "softmax",
    }  # fmt: skip
    finished = [node for node in optimised.nodes() if Add() in [part.op for part in node.epilogue]]
    assert Counter(type(node.op) for node in finished) == {SqueezeExcite: 12, Conv: 4}
    assert graph_cost(optimised).macs == graph_cost(inference_graph(graph)).macs


def test_only_targets_that_ask_for_it_get_it() -> None:
    for target, wanted in {"cpu": True, "cuda": False, "onnx": False, "reference": False}.items():
        found = cnndsl.runtime.backend.backend(target).fusions
        assert ("squeeze-excite" in found) == wanted
    with pytest.raises(CnnError, match="does not run here"):
        optimise(cnndsl.parse("se_resnet50").graph, fusions=(), until="squeeze-excite")


def test_the_map_may_be_overwritten() -> None:
    graph, x = start(4, 6, 6)
    conv = apply(graph, "conv", Conv(4, (3,)), [x])
    excited = apply(graph, "se", FORMS[0], [conv])
    last = apply(graph, "last", Conv(4, (3,)), [excited])
    graph.outputs = {"out": last.name}
    assert plan(graph, Options()).places["se"].use is Use.OVER


@pytest.mark.parametrize("fate", ["matched", "rejected"])
def test_random_graphs_have_blocks_and_near_misses(fate: str) -> None:
    """There are both; that outputs are kept is tested with all passes."""

    def has_some(sample: Sample) -> bool:
        _, runs = optimise(sample.graph, until="squeeze-excite")
        return bool(getattr(runs[-1].report, fate))

    first = settings(max_examples=250, derandomize=True, database=None, phases=[Phase.generate])
    find(samples(), has_some, settings=first)
