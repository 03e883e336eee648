"""Starting weights keep the values in every kind of network near 1."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import initialise
from cnndsl.weights.moments import starts

HEAD = "defaults conv(bias=false)\nnetwork net { input image [8, 12, 12]\n"
DEEP = {
    "plain": "repeat 40 { conv(16, 3) -> relu }",
    "residual": "conv(16, 3)\n repeat 70 { add { conv(16, 3) -> bn -> relu -> conv(16, 3) -> bn"
    " | identity } -> relu }",
    "residual without bn": "repeat 60 { add { conv(8, 3) -> relu -> conv(8, 3) | identity } }",
    "before activation": "repeat 60 { add { bn -> relu -> conv(8, 3) | identity } }",
    "dense": "repeat 40 { concat { identity | bn -> relu -> conv(4, 3) } }",
    "activations": "repeat 8 { conv(16, 3) -> tanh -> conv(16, 1) -> sigmoid -> conv(16, 3) -> silu"
    " -> conv(16, 3) -> hard_swish -> conv(16, 1) -> leaky_relu(0.1) -> conv(16, 3) -> prelu }",
    "depthwise": "repeat 20 { depthwise(3) -> bn -> relu6 -> conv(16, 1) -> bn }",
    "joins": "repeat 12 { mul { conv(8, 3) | conv(8, 3) -> sigmoid } -> max { identity |"
    " conv(8, 3) } -> average { identity | conv(8, 1) } }",
    "up and down": "repeat 6 { conv(8, 3) -> relu -> maxpool(2) -> conv_transpose(8, 2, stride=2)"
    " -> avgpool(2) -> upsample(2) }",
    "groups": "repeat 20 { conv(12, 3, groups=4) -> bn -> relu -> shuffle(4) }",
    "tiny maps": "conv(16, 12, pad=0)\n repeat 30 { conv(16, 3) -> relu }",
    "vectors": "flatten\n repeat 20 { fc(64) -> relu }",
}


def sizes(graph: Graph, values: dict[str, Array]) -> list[float]:
    """The root of the mean square of each tensor, for a normal input."""
    image = np.random.default_rng(5).standard_normal((4, 8, 12, 12))
    names = [node.name for node in graph.nodes()]
    results = run_graph(graph, values, {"image": image}, keep=names)
    return [float(np.sqrt(np.square(result).mean())) for result in results.values()]


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_values_stay_near_one(body: str) -> None:
    graph = inference_graph(cnndsl.parse(f"{HEAD}{body} }}").graph)
    found = sizes(graph, initialise(graph.parameters(), 0, starts(graph)))
    assert 0.03 < min(found) < max(found) < 30


def test_residual_branches_alone_would_let_them_overflow() -> None:
    graph = inference_graph(cnndsl.parse(f"{HEAD}{DEEP['residual']} }}").graph)
    assert max(sizes(graph, initialise(graph.parameters(), 0))) > 1e8


def test_between_rectifiers_weights_are_those_of_he() -> None:
    text = f"{HEAD}conv(16, 1) -> relu -> conv(16, 1) -> relu }}"
    graph = inference_graph(cnndsl.parse(text).graph)
    assert starts(graph)["conv2.weight"].factor == pytest.approx(1, abs=1e-3)
    assert starts(graph)["conv1.weight"].factor == pytest.approx(0.5**0.5, abs=1e-3)


def test_a_bn_starts_with_the_statistics_of_a_rectified_normal_number() -> None:
    """E max(z, 0) = 1/sqrt(2 pi), E max(z, 0)^2 = 1/2."""
    graph = inference_graph(cnndsl.parse(f"{HEAD}conv(16, 1) -> relu -> bn }}").graph)
    found = starts(graph)
    mean = (2 * np.pi) ** -0.5
    assert found["bn1.running_mean"].shift == pytest.approx(mean, rel=5e-3)
    assert found["bn1.running_var"].factor == pytest.approx(0.5 - mean**2, rel=5e-3)


def test_weights_are_the_same_at_all_sizes() -> None:
    text = (
        "network net {{ input image [3, {0}, {0}]\n conv(8, 5, stride=2) -> bn -> relu\n"
        " maxpool(3, stride=2) -> conv(8, 3, dilation=2) -> relu\n"
        " conv_transpose(6, 4, stride=2, pad=1) -> bn -> avgpool(2)\n"
        " global_avgpool -> fc(5) }}"
    )
    found = [
        initialise(graph.parameters(), 0, starts(graph))
        for size in ("H", 32, 57, 224)
        for graph in [inference_graph(cnndsl.parse(text.format(size)).graph)]
    ]
    for other in found[1:]:
        assert list(other) == list(found[0])
        assert all(np.array_equal(other[name], value) for name, value in found[0].items())


def test_compiled_weights_start_so() -> None:
    module = cnndsl.compile(f"{HEAD}{DEEP['residual']} }}", "reference", seed=0)
    result = module(np.ones((1, 8, 12, 12), np.float32))
    assert np.isfinite(result).all()
    assert np.abs(result).max() < 1e3


def test_a_convolution_that_reads_nothing_but_padding_starts_as_any():
    text = "network n { input x [1, 2, 2]\n conv(2, 1, stride=3, pad=1, bias=false) }"
    module = cnndsl.compile(text, target="reference", seed=0)
    assert not module(np.ones((1, 1, 2, 2), np.float32)).any()


def test_places_of_kernels_are_counted_without_a_map() -> None:
    """Padding of a hundred million takes no memory."""
    graph = inference_graph(cnndsl.parse(f"{HEAD}conv(16, 3, pad=100000000) }}").graph)
    tracemalloc.start()
    found = starts(graph)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["conv1.weight"].factor > 0
    assert peak < 10_000_000
