"""The cpu target in bfloat16, within a step of the reference: cases, layers, graphs, the zoo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnndsl.backends.cpu import BACKEND
from cnndsl.ir.types import BFLOAT16
from cnndsl.passes.pipeline import optimise
from cnndsl.quantise.floats import stored_as
from cnndsl.weights.bind import bind
from tests.cpu.bfloat16 import assert_near, together
from tests.cpu.support import compiled
from tests.extra.codes.test_codes import EXTENSIONS, TOGETHER, ZOO, layers, of_the_zoo
from tests.operators.cases import CASES, Case
from tests.passes.random_graphs import Sample, samples


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("first", range(0, len(CASES), TOGETHER))
def test_all_cases(first: int, extension: str | None) -> None:
    graph, values, inputs = together(CASES[first : first + TOGETHER], seed=first)
    module = compiled(graph, values, batch=2, extension=extension)
    assert_near(module, graph, values, inputs)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(case=layers(), seed=st.integers(0, 1000))
def test_random_layers(case: Case, seed: int) -> None:
    graph, values, inputs = together([case, case], seed)
    module = compiled(graph, values, batch=2)
    assert_near(module, graph, values, inputs)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(sample=samples())
def test_random_graphs(sample: Sample) -> None:
    graph = stored_as(optimise(sample.graph, fusions=BACKEND.fusions)[0], BFLOAT16)
    inputs = {name: array.astype(np.float32) for name, array in sample.inputs.items()}
    module = compiled(graph, sample.values)
    assert_near(module, graph, sample.values, inputs, roundings=2)


@pytest.mark.parametrize("name", ZOO)
def test_networks(name: str) -> None:
    network, image, shape = of_the_zoo(name)
    graph = stored_as(optimise(network.graph, fusions=BACKEND.fusions)[0], BFLOAT16)
    values = bind(graph.parameters(), None, seed=0).values
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    assert_near(compiled(graph, values), graph, values, {image: x}, roundings=2)
