"""Networks and random graphs, optimised, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import cnndsl
from cnndsl.backends.cuda import BACKEND
from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import (
    Add,
    Affine,
    Conv,
    FullyConnected,
    PRelu,
    SqueezeExcite,
)
from cnndsl.memory import validate
from cnndsl.passes.pipeline import optimise
from cnndsl.weights.bind import bind
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.onnx.support import start
from tests.operators.cases import Chain, apply_chain, parameter_values
from tests.passes.random_graphs import Sample, samples


def test_a_whole_network(emulator: Emulator):
    network = cnndsl.parse("resnet20_cifar", input_shapes={"image": (3, 16, 16)})
    graph = optimise(network.graph, fusions=BACKEND.fusions)[0]
    values = bind(graph.parameters(), None, seed=1).values
    inputs = {"image": np.random.default_rng(0).normal(size=(1, 3, 16, 16))}
    module = emulator.module(graph, values, None, "f16")
    assert_agrees(module, graph, values, inputs, 2 * TOLERANCE["f16"])


@settings(max_examples=3)
@given(sample=samples())
def test_computes_what_a_random_graph_means(emulator: Emulator, sample: Sample):
    graph = optimise(sample.graph, fusions=BACKEND.fusions)[0]
    module = emulator.module(graph, sample.values, 2)
    assert_agrees(module, graph, sample.values, sample.inputs, 1e-4)


@pytest.fixture(scope="module")
def networks() -> list[Graph]:
    names = ("resnet50", "densenet121", "inception_v3", "shufflenet_v1_g3_1x", "unet")
    return [optimise(cnndsl.parse(name).graph, fusions=BACKEND.fusions)[0] for name in names]


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_memory_plans_hold(networks: list[Graph], batch: int, precision: str):
    for graph in networks:
        program = lower(graph, batch, find_machine("sm_90", precision))
        validate(program.graph, program.plan, program.options)
        for step in program.steps:
            slots = [step.output, *step.inputs]
            assert all(slot.offset % 16 == 0 for slot in slots if step.call.output.block > 1)


@pytest.mark.parametrize("batch", [1, 32])
def test_resnet50_in_halves_runs_on_tensor_cores_without_a_workspace(batch: int):
    graph = optimise(cnndsl.parse("resnet50").graph, fusions=BACKEND.fusions)[0]
    program = lower(graph, batch, find_machine("sm_90", "f16"))
    products = {
        step.node: step for step in program.steps if step.kernel.family in ("gemm", "wgmma")
    }
    weighted = [n for n in graph.nodes() if isinstance(n.op, Conv | FullyConnected)]
    assert len(weighted) == 54
    assert {node.name for node in weighted} == set(products)
    residual = [
        step for step in products.values() if Add in [type(part.op) for part in step.call.epilogue]
    ]
    assert len(residual) == 16
    others = [step.node for step in program.steps if step.node not in products]
    assert others == ["image.in", "maxpool", "avgpool", "softmax1", "output.out"]


def test_squeeze_and_excitation_is_taken_apart(emulator: Emulator):
    graph, x = start(20, 5, 6)
    block = Chain(SqueezeExcite(3), (Affine(),), (Add(), PRelu()))
    graph.outputs = {"out": apply_chain(graph, "se", block, [x, x]).name}
    values = parameter_values(graph, 1)
    inputs = {"image": np.random.default_rng(2).normal(size=(2, 20, 5, 6))}
    module = emulator.module(graph, values, 2)
    assert_agrees(module, graph, values, inputs, TOLERANCE["f32"])
