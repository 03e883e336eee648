"""Sums of many terms of one sign on the cpu target, within 1e-6 of float64."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array
from tests.cpu.support import compiled
from tests.onnx.support import start, then

LARGEST_ERROR = 1e-6


def error(graph: Graph, values: dict[str, Array], x: Array, expected: Array) -> float:
    """The largest error relative to the largest output."""
    found = compiled(graph, values, batch=len(x))(x)
    return float(np.abs(found.reshape(expected.shape) - expected).max() / np.abs(expected).max())


def layer(name: str, *shape: int, **attributes: object) -> Graph:
    graph, x = start(*shape)
    then(graph, "y", name, x, **attributes)
    graph.outputs = {"out": "y"}
    return graph


@pytest.mark.parametrize("value", [0.1, 1.0, 1 / 3])
@pytest.mark.parametrize("sizes", [(7, 7), (14, 14), (112, 112), (1024, 1024), (3000, 1300)])
def test_mean_of_a_constant(value: float, sizes: tuple[int, int]):
    x = np.full((1, 1, *sizes), value, np.float32)
    expected = x[:, :, 0, 0].astype(np.float64)
    assert error(layer("global_avgpool", 1, *sizes), {}, x, expected) < LARGEST_ERROR


@pytest.mark.parametrize("name", ["avgpool", "l2pool", "distance_avgpool"])
def test_large_windows(name: str):
    x = np.full((1, 3, 200, 300), 0.1, np.float32)
    options = {"sigma": 500.0} if name == "distance_avgpool" else {}
    graph = layer(name, 3, 200, 300, kernel=[150, 250], stride=40, **options)
    mean = np.float64(np.float32(0.1))
    expected = np.full((1, 3, 2, 2), mean * (150 * 250) ** 0.5 if name == "l2pool" else mean)
    assert error(graph, {}, x, expected) < LARGEST_ERROR


def test_adaptive_windows():
    x = np.full((1, 2, 501, 401), 0.1, np.float32)
    graph = layer("adaptive_avgpool", 2, 501, 401, size=[2, 1])
    expected = np.full((1, 2, 2, 1), np.float64(np.float32(0.1)))
    assert error(graph, {}, x, expected) < LARGEST_ERROR


@pytest.mark.parametrize("channels", [70_000, 69_999])
def test_softmax_of_many_channels(channels: int):
    x = np.zeros((1, channels), np.float32)
    expected = np.full((1, channels), 1 / channels)
    assert error(layer("softmax", channels), {}, x, expected) < LARGEST_ERROR


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", [(25_088,), (128, 30, 30), (1 << 22,), (37, 300, 20)])
def test_fully_connected(shape: tuple[int, ...], batch: int):
    rng = np.random.default_rng(0)
    units = 3
    x = rng.uniform(0, 1, (batch, *shape)).astype(np.float32)
    w = rng.uniform(0, 1, (units, int(np.prod(shape)))).astype(np.float32)
    graph = layer("fc", *shape, units=units, bias=False)
    expected = x.reshape(batch, -1).astype(np.float64) @ w.T.astype(np.float64)
    assert error(graph, {"y.weight": w}, x, expected) < LARGEST_ERROR


CONVOLUTIONS = {
    "pointwise": ((4096, 5, 7), {"kernel": 1}),
    "deep pointwise": ((1 << 17, 1, 2), {"kernel": 1}),
    "7x7": ((2048, 9, 9), {"kernel": 7, "pad": "valid"}),
    "strided": ((515, 17, 17), {"kernel": 5, "stride": 2}),
    "image": ((3, 140, 140), {"kernel": 100, "stride": 8, "pad": "valid"}),
    "groups": ((1600, 9, 9), {"kernel": 5, "groups": 2, "pad": "valid"}),
    "depthwise": ((16, 90, 90), {"kernel": 81, "groups": 16, "pad": "valid"}),
    "narrow groups": ((16, 60, 60), {"kernel": 51, "groups": 4, "pad": "valid"}),
    "one channel": ((1, 70, 70), {"kernel": 65, "pad": "valid"}),
}


@pytest.mark.parametrize("extension", [None, "avx512"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, extension: str | None):
    shape, options = CONVOLUTIONS[name]
    rng = np.random.default_rng(0)
    filters = 16
    graph = layer("conv", *shape, filters=filters, bias=False, **options)
    w = rng.uniform(0, 1, graph["y"].params["weight"].shape).astype(np.float32)
    x = rng.uniform(0, 1, (1, *shape)).astype(np.float32)
    found = compiled(graph, {"y.weight": w}, extension=extension)(x)
    expected = run_graph(graph, {"y.weight": w}, {graph.inputs[0]: x})["out"]
    assert np.abs(found - expected).max() < LARGEST_ERROR * expected.max()
