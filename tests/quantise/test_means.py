"""Means that batch normalisation tells, and biases that make good for rounded weights in bf16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.types import BFLOAT16
from cnndsl.passes.pipeline import FUSIONS, optimise
from cnndsl.quantise.floats import stored_as
from cnndsl.quantise.means import operand_means
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind
from cnndsl.weights.evaluate import evaluate

TEXT = """
network small {
    input image [3, 20, 20]
    stem: { conv(8, 3, bias=true) -> bn -> relu6 }
    a: { conv(8, 1) -> bn }
    add { identity | b: { conv(8, 3) -> bn -> clamp(-1, 2) } }
    concat { c: { conv(6, 1) -> bn -> relu } | identity }
    d: conv(5, 1)
    silu -> e: { conv(5, 1) -> bn -> relu }
    global_avgpool -> fc: fc(3)
}
"""


@pytest.fixture
def small() -> tuple[cnndsl.Network, dict[str, Array]]:
    """With normalisations of all kinds of means, some of negative factors."""
    network = cnndsl.parse(TEXT)
    rng = np.random.default_rng(0)
    values = dict(bind(network.graph.parameters(), None, seed=0).values)
    for name, array in values.items():
        if array.ndim == 1:
            values[name] = rng.normal(0, 2, array.shape)
        if name.endswith(("running_var", "bn1.weight")):
            values[name] = rng.uniform(0.5, 1.5, array.shape)
    values["stem.bn1.weight"] *= -1
    return network, values


def normalised(values: Mapping[str, Array], bn: str) -> Array:
    """Numbers of the distribution that a normalisation gives, [many, channels]."""
    beta, gamma = values[f"{bn}.bias"], values[f"{bn}.weight"]
    return np.random.default_rng(1).normal(beta, np.abs(gamma), (200_000, len(beta)))


@pytest.mark.parametrize("fusions", [frozenset(), FUSIONS])
def test_means(small: tuple[cnndsl.Network, dict[str, Array]], fusions: frozenset[str]) -> None:
    """Those of random numbers alike, to 5 % of the deviation, 1.5, for each side."""
    network, values = small
    optimised, _ = optimise(network.graph, fusions=fusions)
    found = operand_means(network.graph, optimised)
    means = {name: evaluate(mean, values) for name, mean in found.items()}
    stem = np.clip(normalised(values, "stem.bn1"), 0, 6).mean(0)
    a = normalised(values, "a.bn1").mean(0)
    total = a + np.clip(normalised(values, "b.bn1"), -1, 2).mean(0)
    joined = np.append(np.maximum(normalised(values, "c.bn1"), 0).mean(0), total)
    pooled = np.maximum(normalised(values, "e.bn1"), 0).mean(0)
    wanted = {"a.conv1": stem, "b.conv1": a, "c.conv1": total, "d": joined, "fc": pooled}
    assert not {"stem.conv1", "e.conv1"} & set(means)
    for name, mean in wanted.items():
        np.testing.assert_allclose(means[name], mean, atol=2 * 0.05 * 1.5)


def test_other_graphs_have_no_means(small: tuple[cnndsl.Network, dict[str, Array]]) -> None:
    """Where normalisation is not folded as it stands, nothing is known of what follows."""
    network, _ = small
    plain, _ = optimise(network.graph, disable=["fuse-bn"])
    assert not operand_means(network.graph, plain)
    scaled = cnndsl.parse(
        "network n { input x [3, 8, 8]\nconv(4, 3) -> bn -> scale(2) -> relu -> conv(4, 3) }"
    )
    assert not operand_means(scaled.graph, optimise(scaled.graph)[0])


def test_biases_make_good_for_rounded_weights() -> None:
    """The mean of each result is nearer to float32's if normalisation has the true statistics."""
    network = cnndsl.parse(
        """network n {
            input x [8, 24, 24]
            normal: { conv(64, 1) -> bn -> relu }
            conv(32, 1, bias=true)
        }"""
    )
    rng = np.random.default_rng(0)
    values = dict(bind(network.graph.parameters(), None, seed=0).values)
    x = rng.normal(size=(4, 8, 24, 24))
    weight = values["normal.conv1.weight"]
    made = np.einsum("fc,nchw->nfhw", weight[:, :, 0, 0], x)
    values["normal.bn1.running_mean"] = made.mean((0, 2, 3))
    values["normal.bn1.running_var"] = made.var((0, 2, 3))
    values["normal.bn1.bias"] = rng.uniform(1, 3, 64)
    optimised, _ = optimise(network.graph)
    (exact,) = run_graph(optimised, values, {"x": x}).values()
    errors = []
    for means in ({}, operand_means(network.graph, optimised)):
        graph = stored_as(optimised, BFLOAT16, means)
        (made,) = run_graph(graph, values, {"x": x.astype(np.float32)}).values()
        errors.append(np.abs((made - exact).mean((0, 2, 3))).mean())
    assert errors[1] < 0.2 * errors[0]
