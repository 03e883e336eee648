"""Every pass, and every level, on random graphs: equal outputs, sound graphs."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.numpy.run import outputs_of, run_graph
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.text import graph_text
from cnndsl.ir.verify import verify
from cnndsl.passes.pipeline import LEVELS, optimise, passes
from tests.passes.random_graphs import Sample, samples

TOLERANCE = 1e-9
"""Largest error, relative to the largest number that an output depends on."""


def assert_same_outputs(sample: Sample, graph: Graph) -> None:
    """Within the tolerance of the largest intermediate result, to which rounding is relative."""
    names = [node.name for node in sample.graph.nodes()]
    results = run_graph(sample.graph, sample.values, sample.inputs, keep=names)
    scale = max(float(np.abs(result).max()) for result in results.values())
    expected = outputs_of(sample.graph, results)
    found = run_graph(graph, sample.values, sample.inputs)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert np.abs(found[name] - array).max() <= TOLERANCE * max(scale, 1), name


NAMES = [step.name for step in passes()]


@given(samples(), st.sets(st.sampled_from(NAMES), max_size=len(NAMES) // 2))
@settings(max_examples=250)
def test_passes_keep_the_outputs(sample: Sample, disable: set[str]) -> None:
    verify(sample.graph)
    before = graph_text(sample.graph)
    optimised, runs = optimise(sample.graph, max(LEVELS), disable=disable, verify=True)
    assert_same_outputs(sample, optimised)
    assert graph_text(sample.graph) == before
    assert [run.before for run in runs[1:]] == [run.after for run in runs[:-1]]
    assert optimised.parameters().items() <= sample.graph.parameters().items()
    again = from_json(json.loads(json.dumps(to_json(optimised))))
    assert graph_text(again) == graph_text(optimised)
