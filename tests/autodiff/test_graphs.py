"""Gradients of whole networks and of random graphs against difference quotients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import cnndsl
from cnndsl.autodiff.gradients import gradient_graph
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.verify import verify
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.autodiff.differences import along, directions
from tests.onnx.support import assert_close
from tests.operators.cases import parameter_values
from tests.passes.random_graphs import Sample, samples

TEXT = """
block unit(width, survival) {
    add { identity | conv(width, 3, bias=false) -> bn -> relu -> stochastic_depth(survival) }
}
network small(classes=5) {
    input image [3, 8, 8]
    conv(6, 3) -> relu
    unit(6, 0.5)
    auxiliary side(weight=0.3) = global_avgpool -> fc(classes)
    conv(6, [2, 2], stride=2) -> lrn(3) -> dropout(0.25) -> drop_path(0.5)
    global_avgpool -> fc(classes) -> softmax
}
"""


def arrays_for(graph: Graph, batch: int = 3) -> dict[str, Array]:
    """Random inputs, zeros and twos as masks, one class as the target of each sample."""
    random = np.random.default_rng(0)
    found = {}
    for name in graph.inputs:
        shape = graph[name].type.sizes
        found[name] = random.normal(size=(batch, *shape))
        if name.endswith(".mask"):
            found[name] = 2.0 * (found[name] > 0)
        elif "target" in name:
            found[name] = np.eye(shape[0])[random.integers(shape[0], size=batch)]
    return found


def check_loss(net: cnndsl.Network, **options: Any) -> None:
    back = cnndsl.gradients(net, **options).graph
    verify(back)
    values, inputs = parameter_values(back, 0), arrays_for(back)
    found = run_graph(back, values, inputs)
    learned = [n for n, p in net.graph.parameters().items() if p.learned]
    gradients = {name for name in found if not name.endswith(".updated")}
    assert gradients == {"loss", *(f"{name}.gradient" for name in learned)}
    forward = back.copy()
    forward.outputs = {"loss": back.outputs["loss"]}
    for direction in directions({name: values[name] for name in learned}, 3):
        wanted = along(forward, values, inputs, {"loss": np.ones(1)}, direction)
        terms = [(found[f"{name}.gradient"] * d).sum() for name, d in direction.items()]
        scale = max(abs(wanted), sum(map(abs, terms)), 1)
        assert abs(sum(terms) - wanted) <= 1e-6 * scale


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_network_with_all_that_acts_in_training(loss: str, training: bool) -> None:
    check_loss(cnndsl.parse(TEXT), loss=loss, training=training)


def test_distances_have_the_map_criterion() -> None:
    check_loss(cnndsl.parse("network d { input x [4]\n fc(3) -> tanh -> rbf(5) }"))


def test_the_loss_is_the_mean_cross_entropy() -> None:
    """Of the batch and the positions, by its definition."""
    net = cnndsl.parse("network s { input x [2, 3, 3]\n conv(4, 1) -> softmax }")
    back = cnndsl.gradients(net).graph
    values, inputs = parameter_values(back, 0), arrays_for(back)
    inputs["target"] = np.moveaxis(np.eye(4)[np.arange(27).reshape(3, 3, 3) % 4], -1, 1)
    p = run_graph(net.graph, values, {"x": inputs["x"]})["output"]
    wanted = -np.log(p[inputs["target"] == 1]).mean()
    found = run_graph(back, values, inputs)["loss"]
    np.testing.assert_allclose(found, [wanted], rtol=1e-12)


def test_bn_takes_the_statistics_of_the_batch() -> None:
    net = cnndsl.parse("network b { input x [2, 3]\n bn(eps=0.5) }")
    back = cnndsl.gradients(net, None).graph
    inputs = arrays_for(back)
    x, g = inputs["x"], inputs["output.gradient"]
    standard = (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + 0.5)
    values = {"bn1.running_mean": np.array([3.0, -1.0]), "bn1.running_var": np.array([2.0, 0.5])}
    values |= {"bn1.weight": np.ones(2), "bn1.bias": np.zeros(2)}
    found = run_graph(back, values, inputs)
    np.testing.assert_allclose(found["bn1.weight.gradient"], (g * standard).sum((0, 2)))
    np.testing.assert_allclose(found["bn1.bias.gradient"], g.sum((0, 2)))
    mean = 0.9 * values["bn1.running_mean"] + 0.1 * x.mean((0, 2))
    variance = 0.9 * values["bn1.running_var"] + 0.1 * x.var((0, 2), ddof=1)
    np.testing.assert_allclose(found["bn1.running_mean.updated"], mean)
    np.testing.assert_allclose(found["bn1.running_var.updated"], variance)


VECTORS = "network vectors { input x [5]\n fc(6, bias=false) -> bn -> tanh -> fc(3) -> softmax }"


@pytest.mark.parametrize("recompute", [None, "auto"])
@pytest.mark.parametrize("text", [TEXT, VECTORS], ids=["maps", "vectors"])
def test_onnxruntime_takes_the_step_of_the_reference(text: str, recompute: str | None) -> None:
    """With all that acts in training, at any batch."""
    step = cnndsl.gradients(text, recompute=recompute)
    values = parameter_values(step.graph, 0)
    module = cnndsl.compile(step, "onnx", weights=values)
    for batch in (3, 4):
        given = arrays_for(step.graph, batch)
        wanted = run_graph(step.graph, values, given)
        found = module.run({name: array.astype(np.float32) for name, array in given.items()})
        assert found.keys() == wanted.keys()
        for name, array in found.items():
            assert_close(array, wanted[name])


@given(samples())
@settings(max_examples=20)
def test_random_graphs(sample: Sample) -> None:
    """By all parameters and inputs at once; and as the highest level leaves the graph."""
    learned = [name for name, p in sample.graph.parameters().items() if p.learned]
    arrays = {**sample.inputs, **{name: sample.values[name] for name in learned}}
    try:
        back = gradient_graph(sample.graph, None, list(arrays), training=False)
    except CnnError as error:
        assert "argmax" in str(error) or "depend on" in str(error)  # noqa: PT017
        return
    verify(back)
    random = np.random.default_rng(0)
    results = run_graph(sample.graph, sample.values, sample.inputs)
    seeds = {name: random.normal(size=a.shape) for name, a in results.items()}
    given = {**sample.inputs, **{f"{name}.gradient": seed for name, seed in seeds.items()}}
    found = run_graph(back, sample.values, given)
    optimised, _ = optimise(back, 3, verify=True)
    again = run_graph(optimised, sample.values, given)
    largest = max(float(np.abs(a).max()) for a in found.values())
    for name, array in found.items():
        assert np.abs(again[name] - array).max() <= 1e-9 * max(largest, 1)
    (direction,) = directions(arrays, 1)
    wanted = along(sample.graph, sample.values, sample.inputs, seeds, direction)
    terms = [found[f"{n}.gradient"] * d for n, d in direction.items() if f"{n}.gradient" in found]
    scale = sum(float(np.abs(term).sum()) for term in terms)
    assert abs(sum(float(term.sum()) for term in terms) - wanted) <= 1e-6 * max(scale, 1)
