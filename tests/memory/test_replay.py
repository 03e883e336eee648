"""Plans carried out with real numbers in one array: networks, and random graphs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnndsl
from benchmarks.weights import lively_weights
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.memory import Options, plan, validate
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.memory.replay import float64_bytes, run_in_arena
from tests.passes.random_graphs import Sample, samples

NETWORKS: dict[str, dict[str, Any]] = {
    "densenet": {"growth": 4, "counts": [3, 4]},
    "mobilenet_v2": {},
    "resnet20_cifar": {},
    "shufflenet_v1_g3_1x": {},
    "squeezenet1_1": {},
    "unet": {},
}
"""With settings of their parameters."""

BASE = Options(sample_bytes=float64_bytes)


def assert_same_outputs(
    graph: Graph, values: dict[str, Array], inputs: dict[str, Array], options: Options
) -> None:
    found = plan(graph, options)
    validate(graph, found, options)
    expected = run_graph(graph, values, inputs)
    block = options.channel_block
    for name, result in run_in_arena(graph, found, values, inputs, block).items():
        finite = np.abs(expected[name][np.isfinite(expected[name])])
        scale = np.max(finite, initial=1e-300)
        np.testing.assert_allclose(result / scale, expected[name] / scale, rtol=0, atol=1e-9)


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_the_same_in_an_arena(name: str, level: int) -> None:
    network = cnndsl.parse(name, settings=NETWORKS[name], input_shapes={"image": (3, 32, 32)})
    graph, _ = optimise(network.graph, level)
    rng = np.random.default_rng(1)
    inputs = {name: rng.normal(size=(2, *graph[name].type.shape)) for name in graph.inputs}
    values = lively_weights(graph)
    assert_same_outputs(graph, values, inputs, replace(BASE, batch=2))
    first = {name: array[:1] for name, array in inputs.items()}
    assert_same_outputs(graph, values, first, BASE)
    blocked = replace(BASE, channel_block=8, sample_bytes=partial(float64_bytes, block=8))
    assert_same_outputs(graph, values, first, blocked)


@st.composite
def all_options(draw: st.DrawFn) -> Options:
    batch, block = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 4]))
    layouts = draw(st.lists(st.integers(0, 1), min_size=1, max_size=7))
    return replace(
        BASE,
        batch=batch,
        channel_block=block,
        sample_bytes=partial(float64_bytes, block=block),
        layout=lambda node: layouts[sum(node.name.encode()) % len(layouts)],
        in_place_concat=draw(st.booleans()),
    )


@settings(max_examples=60)
@given(samples(12), all_options(), st.booleans())
def test_random_graphs_compute_the_same_in_an_arena(
    sample: Sample, options: Options, fuse: bool
) -> None:
    graph = optimise(sample.graph, 2 if fuse else 0)[0]
    inputs = {name: array[: options.batch] for name, array in sample.inputs.items()}
    assert_same_outputs(graph, sample.values, inputs, options)


@settings(max_examples=60)
@given(samples(14), st.data())
def test_every_set_of_external_tensors_is_valid(sample: Sample, data: st.DataObject) -> None:
    graph = sample.graph
    ends = [*graph.inputs, *graph.outputs.values()]
    external = frozenset(data.draw(st.lists(st.sampled_from(ends), unique=True)))
    options = Options(batch=data.draw(st.integers(1, 3)), external=external)
    found = plan(graph, options)
    validate(graph, found, options)
    assert not external & found.places.keys()
