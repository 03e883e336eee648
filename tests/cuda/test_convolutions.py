"""Convolutions of the sizes and forms that the kernels divide into cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cnndsl.backends.cuda import BACKEND, tiles
from cnndsl.backends.cuda.kernels import gemm
from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

FORMS = {
    "first": ("gemm", (3, 23, 25), {"filters": 24, "kernel": 7, "stride": 2}),
    "dilated": ("gemm", (19, 11, 13), {"filters": 40, "kernel": 3, "dilation": 2}),
    "pointwise": ("gemm", (72, 9, 7), {"filters": 30, "kernel": 1}),
    "groups_wide": ("gemm", (48, 9, 9), {"filters": 64, "kernel": 3, "groups": 2}),
    "groups_merged": ("gemm", (48, 6, 6), {"filters": 24, "kernel": 3, "groups": 12}),
    "groups_of_five": ("gemm", (40, 9, 9), {"filters": 40, "kernel": 1, "groups": 8}),
    "multiplier": ("gemm", (12, 7, 7), {"filters": 24, "kernel": 3, "groups": 12}),
    "3d": ("gemm", (17, 3, 6, 7), {"filters": 20, "kernel": 3}),
    "1d": ("gemm", (20, 50), {"filters": 24, "kernel": 5, "stride": 2}),
    "depthwise": ("grouped", (37, 9, 14), {"filters": 37, "kernel": 3, "groups": 37}),
    "depthwise_5x5": (
        "grouped",
        (16, 9, 9),
        {"filters": 16, "kernel": 5, "stride": 2, "groups": 16},
    ),
    "groups_of_four": ("grouped", (48, 9, 11), {"filters": 48, "kernel": 3, "groups": 12}),
    "uneven": ("plain", (34, 5, 5), {"filters": 51, "kernel": 3, "groups": 17}),
}


def forms_graph() -> Graph:
    """Each form from an input of its own, with a scale, a residual and an activation."""
    graph = Graph("forms")
    for name, (_, shape, attributes) in FORMS.items():
        x = start(*shape, name=f"{name}_x")[0][f"{name}_x"]
        node = graph.add(x.name, x.op, [])
        graph.inputs.append(node.name)
        node = then(graph, name, "conv", node, **attributes)
        skip = then(graph, f"{name}_skip", "affine", node)
        other = then(graph, f"{name}_other", "silu", skip)
        node = then(graph, f"{name}_second", "conv", skip, filters=node.type.channels, kernel=1)
        node = then(graph, f"{name}_add", "add", node, other)
        node = then(graph, f"{name}_act", "hard_swish", node)
        graph.outputs[f"{name}_y"] = node.name
    return optimise(graph, fusions=BACKEND.fusions)[0]


@pytest.mark.parametrize("precision", [whole("f32"), "f16"])
def test_all_forms(emulator: Emulator, precision: str):
    graph = forms_graph()
    program = lower(graph, 2, find_machine("sm_90", precision))
    families = {step.node: step.kernel.family for step in program.steps}
    for name, (family, _, _) in FORMS.items():
        assert family in families[name], name
    values = parameter_values(graph, 1)
    rng = np.random.default_rng(2)
    inputs = {n: rng.normal(size=(2, *graph[n].type.shape)) for n in graph.inputs}
    module = emulator.module(graph, values, 2, precision)
    assert_agrees(module, graph, values, inputs, TOLERANCE[precision])


@pytest.mark.parametrize("precision", [whole("f32"), whole("tf32"), "f16"])
def test_every_tile_and_split(emulator: Emulator, precision: str, monkeypatch: pytest.MonkeyPatch):
    machine = find_machine("sm_90", precision)
    choices = [(tile, split) for tile in tiles.tiles_of(machine) for split in (1, 4)]
    graph, x = start(16, 9, 9)
    for index in range(len(choices)):
        then(graph, f"y{index}", "conv", x, filters=72, kernel=3, stride=2)
        graph.outputs[f"out{index}"] = f"y{index}"
    waiting = take_choices(monkeypatch, choices)
    values = parameter_values(graph, 3)
    inputs = {"image": np.random.default_rng(4).normal(size=(1, 16, 9, 9))}
    module = emulator.module(graph, values, 1, precision)
    assert next(waiting, None) is None
    assert_agrees(module, graph, values, inputs, TOLERANCE[precision])


WARPGROUP_FORMS = {
    "stride": ((20, 27, 19), {"filters": 70, "kernel": 5, "stride": 2}),
    "dilated": ((40, 9, 9), {"filters": 264, "kernel": 3, "dilation": 2}),
    "pointwise": ((24, 17, 17), {"filters": 128, "kernel": 1}),
    "groups": ((144, 7, 6), {"filters": 80, "kernel": 3, "groups": 2}),
}


@pytest.mark.parametrize("form", ["stride", whole("dilated"), "pointwise", whole("groups")])
def test_forms_of_convolution_by_warpgroups(
    emulator: Emulator, form: str, monkeypatch: pytest.MonkeyPatch
):
    shape, attributes = WARPGROUP_FORMS[form]
    choices = [(tile, split) for tile in tiles.WARPGROUPS for split in (1, 2)]
    graph, x = start(*shape)
    for index in range(len(choices)):
        node = then(graph, f"y{index}", "conv", x, **attributes)
        graph.outputs[f"out{index}"] = node.name
    waiting = take_choices(monkeypatch, choices)
    values = parameter_values(graph, 7)
    inputs = {"image": np.random.default_rng(8).normal(size=(1, *shape))}
    module = emulator.module(graph, values, 1, "f16")
    assert next(waiting, None) is None
    assert_agrees(module, graph, values, inputs, TOLERANCE["f16"])


def take_choices(
    patch: pytest.MonkeyPatch, choices: list[tuple[tiles.Tile, int]]
) -> Iterator[tuple[tiles.Tile, int]]:
    """Let products take these tiles and splits one after another; those that none has taken."""
    waiting = iter(choices)

    def next_choice(product, machine):
        return [tiles.make_choice(product, *next(waiting), machine)]

    patch.setattr(gemm, "rank_tiles", next_choice)
    return waiting


def test_a_prologue_is_computed_before_padding(emulator: Emulator):
    graph, x = start(16, 9, 10)
    other = then(graph, "skip", "conv", x, filters=16, kernel=1)
    node = then(graph, "join", "add", x, other)
    node = then(graph, "bn", "bn", node)
    node = then(graph, "relu", "relu", node)
    pooled = then(graph, "pooled", "global_avgpool", node)
    node = then(graph, "y", "conv", node, filters=20, kernel=3)
    graph.outputs = {"out": node.name, "sum": "join", "mean": pooled.name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    assert "bn" not in graph
    values = parameter_values(graph, 3)
    inputs = {"image": np.random.default_rng(4).normal(size=(2, 16, 9, 10))}
    assert_agrees(emulator.module(graph, values), graph, values, inputs, TOLERANCE["f32"])


def test_fully_connected_layers_on_maps_and_vectors(emulator: Emulator):
    graph, x = start(20, 5, 6)
    node = then(graph, "hidden", "fc", x, units=70)
    node = then(graph, "relu", "relu", node)
    node = then(graph, "y", "fc", node, units=33)
    graph.outputs = {"out": node.name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    values = parameter_values(graph, 5)
    inputs = {"image": np.random.default_rng(6).normal(size=(5, 20, 5, 6))}
    for precision in ("f32", "f16"):
        module = emulator.module(graph, values, 5, precision)
        assert_agrees(module, graph, values, inputs, TOLERANCE[precision])
