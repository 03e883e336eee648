"""The reference in float32: long sums of numbers of one sign stay as exact as short ones."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Input
from tests.operators.cases import apply, parameter_values

LAYERS = {
    "global_avgpool": ((2, 400, 500), {}),
    "adaptive_avgpool": ((1, 400, 500), {"size": 1}),
    "avgpool": ((1, 500, 200), {"kernel": 180, "stride": 20}),
    "l2pool": ((1, 500, 200), {"kernel": 180, "stride": 20}),
    "distance_avgpool": ((1, 500, 200), {"kernel": 180, "stride": 20, "sigma": 300.0}),
    "channel_mean": ((50_000, 2, 2), {}),
    "softmax": ((50_000, 2), {}),
    "log_softmax": ((50_000, 2), {}),
    "layer_norm": ((50_000, 2), {}),
    "group_norm": ((2, 200, 300), {"groups": 1}),
    "instance_norm": ((2, 200, 300), {}),
    "rms_norm": ((50_000, 2), {}),
    "l2_normalise": ((50_000, 2), {}),
    "fc": ((50_000,), {"units": 2}),
    "rbf": ((50_000,), {"units": 2}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_long_sums(name: str):
    shape, attributes = LAYERS[name]
    graph = Graph("sum")
    x = graph.add("x", Input(shape), [])
    graph.inputs, graph.outputs = ["x"], {"y": "y"}
    apply(graph, "y", build(BY_NAME[name], attributes), [x])
    values = {key: np.abs(each) for key, each in parameter_values(graph, 0).items()}
    image = np.random.default_rng(0).uniform(1, 1.001, (1, *shape)).astype(np.float32)
    exact = run_graph(graph, values, {"x": image}, "float64")["y"]
    found = run_graph(graph, values, {"x": image}, "float32")["y"]
    assert found.dtype == np.float32
    tolerance = 3e-4 if name.endswith("_norm") and name != "rms_norm" else 1e-6
    assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()
