"""Squeeze-and-excitation blocks in one kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Add, Affine, PRelu, Relu, SqueezeExcite
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import assert_agrees, compiled, machine
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import Chain, apply_chain, parameter_values

SHAPES = ((40, 9, 11), (32, 1, 3), (33, 7), (20, 3, 4, 5), (5, 2, 2))


def block(graph: Graph, x: Node, gate: str = "sigmoid") -> Node:
    """x times its factors."""
    node = then(graph, "pool", "global_avgpool", x)
    node = then(graph, "reduce", "fc", node, units=19)
    node = then(graph, "activation", "relu", node)
    node = then(graph, "expand", "fc", node, units=x.type.channels)
    return then(graph, "product", "mul", then(graph, "gate", gate, node), x)


def graph_of(shape: tuple[int, ...], *, halo: bool, join: bool) -> Graph:
    """A block behind a convolution; what reads it needs a halo, or does not."""
    graph, x = start(*shape)
    skip = then(graph, "skip", "conv", x, filters=shape[0], kernel=1)
    node = then(graph, "conv", "conv", skip, filters=shape[0], kernel=1)
    node = block(graph, node, "sigmoid" if join else "hard_sigmoid")
    if join:
        node = then(graph, "relu", "relu", then(graph, "add", "add", node, skip))
    node = then(graph, "last", "conv", node, filters=24, kernel=3 if halo else 1)
    graph.outputs = {"out": node.name}
    return optimise(graph, fusions=BACKEND.fusions)[0]


@pytest.mark.parametrize(("batch", "extension"), [whole(1, "avx2"), (3, "avx512")])
@pytest.mark.parametrize(("halo", "join"), [(True, True), (False, True), (False, False)])
def test_agrees_with_the_reference(batch: int, extension: str, halo: bool, join: bool):
    for shape in SHAPES:
        graph = graph_of(shape, halo=halo, join=join)
        steps = {step.node: step for step in lower(graph, batch, machine(extension)).steps}
        assert steps["product"].kernel.family == "squeeze_excite"
        assert steps["product"].call.joins == join
        assert halo or steps["product"].call.in_place
        values = parameter_values(graph, 1)
        inputs = {"image": np.random.default_rng(2).normal(size=(batch, *shape))}
        module = compiled(graph, values, batch=batch, extension=extension)
        assert_agrees(module, graph, values, inputs)


@pytest.mark.parametrize("batch", [1, 2])
def test_with_a_prologue(batch: int):
    graph, x = start(20, 5, 6)
    node = then(graph, "conv", "conv", x, filters=20, kernel=1)
    chain = Chain(SqueezeExcite(3), (Affine(), Relu()), (Add(), PRelu()))
    node = apply_chain(graph, "product", chain, [node, x])
    graph.outputs = {"out": node.name}
    values = parameter_values(graph, 5)
    inputs = {"image": np.random.default_rng(6).normal(size=(batch, 20, 5, 6))}
    assert_agrees(compiled(graph, values, batch=batch), graph, values, inputs)


def test_many_cores_share_few_blocks():
    """On 64 cores the rows of a block go to several tasks, and each computes the factors."""
    graph = graph_of((20, 12, 5), halo=True, join=True)
    values = parameter_values(graph, 3)
    inputs = {"image": np.random.default_rng(4).normal(size=(1, 20, 12, 5))}
    many = replace(machine("avx2"), cores=64)
    assert_agrees(compiled(graph, values, target=many), graph, values, inputs)
