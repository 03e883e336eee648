"""The cpu target against the reference, for every operator."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Input
from cnndsl.runtime.module import Array
from tests.cpu.support import EXACT, assert_agrees, compiled
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import CASES, Case, apply, parameter_values
from tests.operators.special import assert_same

NAMES = sorted({case.operator.name for case in CASES})


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name: str):
    """With two samples; one alone is what other widths are given. With NaN and infinities too."""
    cases = [case for case in CASES if case.operator.name == name]
    graph, inputs = together(cases)
    values = parameter_values(graph, 0)
    module = compiled(graph, values, batch=2)
    assert_agrees(module, graph, values, inputs)
    assert_same(graph, values, inputs, module.run, EXACT)


@pytest.mark.parametrize("extension", [whole("scalar"), whole("neon"), "avx512"])
@pytest.mark.parametrize("name", ["conv", "maxpool", "concat", "fc", "add", "softmax", "shuffle"])
def test_agrees_at_other_vector_widths(name: str, extension: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    assert_agrees(compiled(graph, values, extension=extension), graph, values, inputs)


def together(cases: list[Case]) -> tuple[Graph, dict[str, Array]]:
    """One graph of several cases, each with its own inputs and output."""
    graph = Graph("cases")
    inputs: dict[str, Array] = {}
    for index, case in enumerate(cases):
        operands = []
        for name, array in case.inputs().items():
            operand = graph.add(f"case{index}.{name}", Input(array.shape[1:]), [])
            graph.inputs.append(operand.name)
            inputs[operand.name] = array
            operands.append(operand)
        node = apply(graph, f"case{index}", case.operator, operands)
        graph.outputs[f"{case.id}"] = node.name
    return graph, inputs


@pytest.mark.parametrize("extension", ["avx512", "avx2", "scalar"])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu"])
def test_exponentials_are_exact_everywhere(name: str, extension: str):
    graph, x = start(16, 50)
    then(graph, "y", name, x)
    graph.outputs = {"out": "y"}
    module = compiled(graph, {}, extension=extension)
    wide = np.concatenate([np.linspace(-120, 120, 400), np.linspace(-1, 1, 400)])
    image = wide.reshape(1, 16, 50).astype(np.float32)
    exact = image.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-exact))
    expected = {"sigmoid": sigmoid, "silu": exact * sigmoid, "tanh": np.tanh(exact)}[name]
    np.testing.assert_allclose(module(image), expected, rtol=3e-7, atol=2e-7)
    special = np.full((1, 16, 50), np.nan, np.float32)
    special[0, 0, :2] = np.inf, -np.inf
    found = module(special)
    assert np.isnan(found[0, 1:]).all()
    if name != "silu":
        np.testing.assert_allclose(found[0, 0, :2], [1, 0 if name == "sigmoid" else -1], atol=1e-30)
