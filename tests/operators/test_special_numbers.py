"""Functions of single elements of NaN, infinities, zeros, the smallest and the largest numbers.

NaN stays NaN in all of them, and every target gives what the reference gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.backends.onnx.backend import BACKEND as ONNX
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Activation, Input, Join, Softplus
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array
from tests.cpu.support import compiled
from tests.cuda.emulator import Emulator
from tests.operators.cases import CASES, apply, parameter_values

NUMBERS = np.array(
    [np.nan, np.inf, -np.inf, 0, -0.0, 1e-40, -1e-40, 0.7, 88.5, -88.5, 104, -104, 3e38, -3e38],
    np.float32,
)
PAIRS = {
    "a": np.tile(NUMBERS, len(NUMBERS)).reshape(1, 2, -1),
    "b": np.repeat(NUMBERS, len(NUMBERS)).reshape(1, 2, -1),
}
"""Every number with every other one."""


def graph_of_all() -> Graph:
    """Every case of such a function, on the same two inputs."""
    graph = Graph("special")
    operands = [graph.add(name, Input(x.shape[1:]), []) for name, x in PAIRS.items()]
    graph.inputs = list(PAIRS)
    for case in CASES:
        op = case.operator
        if isinstance(op, Activation | Join) and case.shapes[0] == (4, 9, 8):
            node = apply(graph, f"{case.id}.y", op, operands[: len(case.shapes)])
            graph.outputs[case.id] = node.name
    return graph


GRAPH = graph_of_all()
VALUES = parameter_values(GRAPH, 0)


@pytest.fixture(scope="module")
def expected() -> Mapping[str, Array]:
    with np.errstate(all="ignore"):
        return run_graph(GRAPH, VALUES, PAIRS, "float32")


READERS = {
    "conv": ("conv", {"filters": 5, "kernel": 3}),
    "pointwise": ("conv", {"filters": 5, "kernel": 1}),
    "grouped": ("conv", {"filters": 9, "kernel": 3, "groups": 3}),
    "fc": ("fc", {"units": 5}),
    "mean": ("global_avgpool", {}),
    "softmax": ("softmax", {}),
}


def graph_of_readers() -> Graph:
    """Operators that read 9 channels, of which a vector's other lanes would not be finite."""
    graph = Graph("readers")
    x = graph.add("x", Input((9, 6, 6)), [])
    graph.inputs = ["x"]
    for first in ("reciprocal", "log"):
        value = apply(graph, first, BY_NAME[first](), [x])
        for label, (name, attributes) in READERS.items():
            node = apply(graph, f"{first}.{label}", build(BY_NAME[name], attributes), [value])
            graph.outputs[node.name] = apply(graph, f"{node.name}.y", Softplus(), [node]).name
    return graph


def assert_same(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=2e-6, atol=1e-36, err_msg=name)


def test_the_reference_keeps_nan(expected: Mapping[str, Array]):
    nan = np.isnan(PAIRS["a"])
    assert all(np.isnan(y[nan]).all() for y in expected.values())


def test_no_number_comes_from_lanes_without_a_channel(emulator: Emulator):
    graph = graph_of_readers()
    values = parameter_values(graph, 0)
    inputs = {"x": np.random.default_rng(0).uniform(0.5, 2, (2, 9, 6, 6)).astype(np.float32)}
    expected = run_graph(graph, values, inputs, "float64")
    for module in (compiled(graph, values), emulator.module(graph, values, 2)):
        found = module.run(inputs)
        for name, wanted in expected.items():
            np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)


def test_cpu(expected: Mapping[str, Array]):
    assert_same(compiled(GRAPH, VALUES).run(PAIRS), expected)


def test_cuda(expected: Mapping[str, Array], emulator: Emulator):
    assert_same(emulator.module(GRAPH, VALUES, 1).run(PAIRS), expected)


def test_onnxruntime(expected: Mapping[str, Array]):
    found = ONNX.compile(GRAPH, VALUES, CompileOptions()).run(PAIRS)
    assert_same(found, expected)
