"""Every network of the zoo is sound; small ones, and large ones made small, are compared.

`python -m benchmarks.zoo` compares all networks at their full size, `--target cpu` as native code.
"""

from __future__ import annotations

import pytest

import cnndsl
from benchmarks.passes import at_size
from benchmarks.zoo import TOLERANCE, compare
from cnndsl.backends.cpu import build
from cnndsl.backends.cpu.machine import machine_for
from cnndsl.ir.verify import verify
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import concrete_networks
from cnndsl.passes.pipeline import inference_graph

ZOO = concrete_networks(cnndsl.zoo())
UNITS = {unit.source.name: unit for unit, _ in ZOO.values()}


@pytest.mark.parametrize("unit", UNITS.values(), ids=lambda unit: unit.source.name.split("/")[-1])
def test_a_file_has_no_findings(unit):
    assert not unit.all_findings()


@pytest.mark.parametrize("name", ZOO)
def test_a_network_has_no_findings_and_a_sound_graph(name):
    found = elaborate(*ZOO[name])
    assert not found.findings
    verify(found.graph)
    verify(inference_graph(found.graph))


FIXED = {"bn_inception": 64, "lenet5_paper": 32, "lenet5_rbf_out": 32}
OPEN = {
    "densenet_bc_cifar_L40_k12": 32,
    "googlenet_torchvision": 48,
    "mobilenet_v2": 48,
    "preact_resnet110_cifar": 32,
    "resnet20_cifar": 32,
    "resnext50_32x4d": 32,
    "se_shufflenet_v1_g3_1x": 48,
    "squeezenet1_1": 64,
    "unet": 64,
}
"""With the sizes for which they are compiled."""


@pytest.mark.parametrize("name", FIXED)
def test_onnxruntime_agrees_with_numpy(name):
    found = compare(at_size(name, FIXED[name]))
    assert found.against == "numpy"
    assert found.declared <= TOLERANCE
    assert found.resized is None


@pytest.mark.parametrize("name", OPEN)
def test_a_model_with_open_sizes_agrees_with_numpy_at_two_sizes(name):
    found = compare(at_size(name, OPEN[name]))
    assert found.against == "numpy"
    assert found.declared <= TOLERANCE
    assert found.resized is not None
    assert found.resized <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "optimised"),
    [("se_shufflenet_v1_g3_1x", False), ("squeezenet1_1", True), ("unet", False)],
)
def test_native_code_agrees_with_numpy(name, optimised, monkeypatch):
    """One as users get it, the others without LLVM's optimiser."""
    if optimised:
        monkeypatch.setattr(build, "machine_for", machine_for)
    found = compare(at_size(name, (FIXED | OPEN)[name]), "cpu")
    assert found.against == "numpy"
    assert found.declared <= found.tolerance


@pytest.mark.parametrize("name", ["googlenet_aux", "inception_v3_aux"])
def test_training_only_heads_do_not_fix_the_size(name):
    graph = cnndsl.parse(name).open_graph()
    assert [str(graph[port].type) for port in graph.inputs] == ["3xHxW"]
