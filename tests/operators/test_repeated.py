"""Joins with operands that are repeated, computed with what makes the other operand."""

from __future__ import annotations

import numpy as np

import cnndsl
from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Input
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import compiled
from tests.cuda.emulator import Emulator
from tests.operators.cases import apply, parameter_values

MAKERS = {
    "pointwise": ("conv", {"filters": 12, "kernel": 1}),
    "rows": ("conv", {"filters": 12, "kernel": 3, "stride": 2}),
    "winograd": ("conv", {"filters": 12, "kernel": 3}),
    "depthwise": ("depthwise", {"kernel": 3}),
    "grouped": ("conv", {"filters": 12, "kernel": 3, "groups": 3}),
    "transposed": ("conv_transpose", {"filters": 12, "kernel": 2, "stride": 2}),
    "fc": ("fc", {"units": 12}),
    "relu": ("relu", {}),
}
JOINS = {**dict.fromkeys(MAKERS, (("div", 1),)), "relu": (("add", 0), ("sub", 0))}
"""The joins behind each maker, and the places of the repeated operand."""


def graph_of_joins() -> Graph:
    """Each join behind each maker, with operands of one row, of one column, of one channel."""
    graph = Graph("repeated")
    x = graph.add("x", Input((12, 8, 10)), [])
    graph.inputs = ["x"]
    for label, (name, attributes) in MAKERS.items():
        for join, place in JOINS[label]:
            path = f"{label}.{join}"
            maker = apply(graph, path, build(BY_NAME[name], attributes), [x])
            channels, *spatial = maker.type.shape
            sizes = [(1, *spatial), (channels, *(1,) * len(spatial)), (1,), (channels,)]
            if spatial:
                sizes += [(channels, 1, spatial[1]), (1, spatial[0], 1)]
            for size in dict.fromkeys(sizes):
                small = f"y{'x'.join(map(str, size))}"
                if small not in graph:
                    graph.add(small, Input(size), [])
                    graph.inputs.append(small)
                operands = [maker, graph[small]] if place else [graph[small], maker]
                maker = apply(graph, f"{path}.{small}", BY_NAME[join](), operands)
            graph.outputs[path] = maker.name
    return graph


def test_natively_as_the_reference_computes_them(emulator: Emulator):
    graph = graph_of_joins()
    values = parameter_values(graph, 0)
    rng = np.random.default_rng(1)
    inputs = {
        name: rng.uniform(0.5, 2, (2, *graph[name].type.shape)).astype(np.float32)
        for name in graph.inputs
    }
    expected = run_graph(graph, values, inputs, "float64")
    fused, _ = optimise(graph, fusions=BACKEND.fusions)
    assert len(fused) < len(graph) - 2 * len(MAKERS)
    for module in (compiled(fused, values), emulator.module(fused, values, 2)):
        found = module.run(inputs)
        for name, wanted in expected.items():
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-4 * scale, err_msg=name)


TEXT = """network net {
    input image [3, 6, 6]
    conv(4, 3)
    place: add { identity | position: parameter([4, 6, 6], init="normal") }
    mul { identity | gain: parameter([1, 1, 1], init="ones", learned=false) }
    sub { identity | constant([0.5, 1, 2, 3]) }
    conv(2, 1)
}"""


def test_parameters_are_values() -> None:
    net = cnndsl.parse(TEXT)
    assert net.params == 4 * 27 + 4 + 4 * 36 + 4 * 2 + 2
    values = parameter_values(net.graph, 0)
    assert {"position.value", "gain.value"} <= set(values)
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    first = run_graph(net.graph, values, {"image": x}, keep=["conv1"])["conv1"]
    shifts = np.array([0.5, 1, 2, 3])[:, None, None]
    placed = (first + values["position.value"]) * values["gain.value"] - shifts
    weight = values["conv2.weight"][:, :, 0, 0]
    expected = np.einsum("oc,nchw->nohw", weight, placed) + values["conv2.bias"][:, None, None]
    for target in ("reference", "onnx", "cpu"):
        module = cnndsl.compile(net, target=target, weights=values)
        np.testing.assert_allclose(module(x), expected, rtol=0, atol=1e-4, err_msg=target)
