"""Sums of many terms of one sign on the cuda target, within 1e-6 of float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cnndsl.backends.cuda import BACKEND, tiles
from cnndsl.backends.cuda.kernels import gemm
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.cuda.test_convolutions import take_choices
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

LARGEST_ERROR = 1e-6

LAYERS = {
    "global_avgpool": ((1, 300, 260), {}),
    "avgpool": ((1, 100, 140), {"kernel": [90, 110], "stride": 40}),
    "l2pool": ((1, 100, 140), {"kernel": [90, 110], "stride": 40}),
    "distance_avgpool": ((1, 60, 60), {"kernel": 50, "stride": 40, "sigma": 500.0}),
    "adaptive_avgpool": ((2, 101, 90), {"size": [2, 1]}),
    "softmax": ((40_000,), {}),
    "lrn": ((2000, 1, 1), {"size": 1999, "alpha": 1.0}),
    "fc": ((20_000,), {"units": 3}),
    "fc of a map": ((123, 12, 10), {"units": 3}),
    "conv": ((515, 5, 5), {"filters": 8, "kernel": 5, "pad": "valid"}),
    "conv by groups": ((16, 40, 40), {"filters": 16, "kernel": 39, "groups": 4, "pad": "valid"}),
    "conv odd": ((34, 40, 40), {"filters": 51, "kernel": 39, "groups": 17, "pad": "valid"}),
    "conv_transpose": ((4000, 2, 2), {"filters": 2, "kernel": 2, "stride": 2}),
    "local_conv": ((900, 3, 3), {"filters": 2, "kernel": 3, "pad": "valid"}),
    "rbf": ((9000,), {"units": 2}),
}  # fmt: skip


def of_one_sign(
    layers: Mapping[str, tuple[tuple[int, ...], Mapping[str, object]]],
) -> tuple[Graph, dict[str, Array], dict[str, Array]]:
    """Layers side by side, each with an input of its own, their weights and inputs."""
    graph = Graph("sums")
    for index, (name, (shape, attributes)) in enumerate(layers.items()):
        x = start(*shape, name=f"x{index}")[0][f"x{index}"]
        x = graph.add(x.name, x.op, [])
        graph.inputs.append(x.name)
        then(graph, f"y{index}", name.split()[0], x, **attributes)
        graph.outputs[f"y{index}"] = f"y{index}"
    rng = np.random.default_rng(0)
    values = {
        name: rng.uniform(0.5, 1, p.shape).astype(np.float32)
        for name, p in graph.parameters().items()
    }
    inputs = {n: np.full((1, *graph[n].type.shape), 0.1, np.float32) for n in graph.inputs}
    return graph, values, inputs


def errors(
    module: CudaModule, graph: Graph, values: dict[str, Array], inputs: dict[str, Array]
) -> dict[str, float]:
    """The largest error of each output, relative to its largest number."""
    expected, found = run_graph(graph, values, inputs), module.run(inputs)
    return {
        name: float(np.abs(found[name] - wanted).max() / np.abs(wanted).max())
        for name, wanted in expected.items()
    }


def test_every_layer_that_sums(emulator: Emulator):
    graph, values, inputs = of_one_sign(LAYERS)
    module = emulator.module(graph, values, 1)
    found = errors(module, graph, values, inputs)
    assert {n: e for n, e in zip(LAYERS, found.values(), strict=True) if e > LARGEST_ERROR} == {}


@pytest.mark.parametrize(("precision", "largest"), [("f32", 1e-6), ("f16", 1e-3)])
def test_every_tile_collects(
    emulator: Emulator, precision: str, largest: float, monkeypatch: pytest.MonkeyPatch
):
    """In parts of 64 products; the operands of f16 are rounded before they are multiplied."""
    monkeypatch.setattr(gemm, "COLLECTED", dict.fromkeys(gemm.COLLECTED, 64))
    choices = [(tile, 1) for tile in tiles.tiles_of(find_machine("sm_90", precision))]
    layer = ((40, 4, 4), {"filters": 8, "kernel": 3, "pad": "valid"})
    graph, values, inputs = of_one_sign({f"conv {i}": layer for i in range(len(choices))})
    waiting = take_choices(monkeypatch, choices)
    module = emulator.module(graph, values, 1, precision)
    assert next(waiting, None) is None
    assert max(errors(module, graph, values, inputs).values()) < largest


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_lanes_without_a_channel_take_no_part(emulator: Emulator, precision: str):
    """They are weights of zero times infinity, NaN, where all channels are finite."""
    graph, x = start(4, 3, 3)
    node = then(graph, "first", "conv", x, filters=5, kernel=1)
    node = then(graph, "clipped", "relu6", node)
    node = then(graph, "y", "conv", node, filters=3, kernel=3)
    pooled = then(graph, "pooled", "global_avgpool", graph["clipped"])
    graph.outputs = {"y": node.name, "fc": then(graph, "fc", "fc", pooled, units=3).name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    values = parameter_values(graph, 0)
    image = np.ones((1, 4, 3, 3), np.float32)
    image[0, 1, 1, 1] = np.inf
    module = emulator.module(graph, values, 1, precision)
    assert_agrees(module, graph, values, {"image": image}, TOLERANCE[precision])
