"""Every pass, and every level, on random graphs: equal outputs, sound graphs."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.text import graph_text
from cnndsl.ir.verify import verify
from cnndsl.passes.pipeline import LEVELS, optimise, passes
from tests.passes.random_graphs import Sample, samples

TOLERANCE = 1e-9
"""Largest error, relative to the largest number that an output depends on."""


def outputs_of(graph: Graph, sample: Sample) -> dict[str, np.ndarray]:
    return run_graph(graph, sample.values, sample.inputs)


def scale_of(sample: Sample) -> dict[str, float]:
    """For each output the largest intermediate result: what rounding errors are relative to."""
    names = [node.name for node in sample.graph.nodes()]
    results = run_graph(sample.graph, sample.values, sample.inputs, keep=names)
    largest = max(float(np.abs(result).max()) for result in results.values())
    return dict.fromkeys(sample.graph.outputs, largest)


def assert_same_outputs(sample: Sample, graph: Graph) -> None:
    expected, found = outputs_of(sample.graph, sample), outputs_of(graph, sample)
    assert expected.keys() == found.keys()
    scales = scale_of(sample)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert np.abs(found[name] - array).max() <= TOLERANCE * max(scales[name], 1), name


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
