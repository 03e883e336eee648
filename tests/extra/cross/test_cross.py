"""Code for other machines under qemu-user against the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import save_file

import cnndsl
from cnndsl.backends.cpu import BACKEND
from cnndsl.passes.pipeline import inference_graph, optimise
from cnndsl.weights.bind import bind
from cnndsl.weights.moments import starts
from tests.cpu.support import assert_agrees
from tests.cpu.test_operators import NAMES, together
from tests.extra.cross.support import TARGETS, Emulated
from tests.operators.cases import CASES, parameter_values
from tests.passes.random_graphs import Sample, samples

NETWORKS = {
    "ghostnet": (3, 64, 64),
    "lenet5": (1, 32, 32),
    "mobilenet_v2": (3, 64, 64),
    "mobilenet_v3_small": (3, 64, 64),
    "regnet_y_400mf": (3, 64, 64),
    "resnet18": (3, 64, 64),
    "resnet20_cifar": (3, 32, 32),
    "shufflenet_v1_g3_1x": (3, 64, 64),
    "shufflenet_v2_x0_5": (3, 64, 64),
    "squeezenet1_1": (3, 64, 64),
}
ALL_OPERATORS = ("cortex-a53", "armv7")
EXAMPLES = 150
"""Random graphs of each batch size."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ALL_OPERATORS)
def test_operators_agree_with_the_reference(target: str, name: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    assert_agrees(Emulated(target, graph, values, 2), graph, values, inputs)


@pytest.mark.parametrize("name", ["conv", "maxpool", "fc", "add", "softmax", "resize"])
@pytest.mark.parametrize("target", sorted({*TARGETS} - {*ALL_OPERATORS}))
def test_operators_agree_on_further_machines(target: str, name: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    assert_agrees(Emulated(target, graph, values, 2), graph, values, inputs)


@pytest.mark.parametrize("target", TARGETS)
def test_own_weights_are_packed(target: str, tmp_path: Path):
    graph, _ = optimise(cnndsl.parse("lenet5").graph, fusions=BACKEND.fusions)
    values = parameter_values(graph, 0)
    save_file(values, tmp_path / "own.safetensors")
    image = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    module = Emulated(target, graph, values)
    packed, own = (module.run({"image": image}, f) for f in (None, tmp_path / "own.safetensors"))
    for name, expected in packed.items():
        np.testing.assert_allclose(own[name], expected, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("target", ALL_OPERATORS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples())
def test_random_graphs_agree(target: str, batch: int, sample: Sample):
    graph, _ = optimise(sample.graph, fusions=BACKEND.fusions)
    module = Emulated(target, graph, sample.values, batch)
    assert_agrees(module, graph, sample.values, sample.inputs, tolerance=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", TARGETS)
def test_networks_agree(target: str, name: str):
    net = cnndsl.parse(name, input_shapes={"image": NETWORKS[name]})
    graph, _ = optimise(net.graph, fusions=BACKEND.fusions)
    usual = starts(inference_graph(net.graph))
    values = bind(graph.parameters(), None, seed=0, starts=usual).values
    image = np.random.default_rng(0).normal(size=(1, *NETWORKS[name])).astype(np.float32)
    assert_agrees(Emulated(target, graph, values), graph, values, {"image": image}, 1e-4)
