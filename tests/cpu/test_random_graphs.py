"""Random graphs, optimised and compiled, against the reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from cnndsl.backends.cpu import BACKEND
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import assert_agrees, compiled
from tests.passes.random_graphs import Sample, samples


@pytest.mark.parametrize("batch", [None, 2])
@settings(max_examples=12)
@given(sample=samples())
def test_computes_what_the_graph_means(batch: int | None, sample: Sample):
    graph, _ = optimise(sample.graph, fusions=BACKEND.fusions)
    module = compiled(graph, sample.values, batch=batch)
    assert_agrees(module, graph, sample.values, sample.inputs, tolerance=1e-4)
