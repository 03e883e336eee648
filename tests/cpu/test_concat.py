"""Dense blocks: concats begin with an operand where it lies, though it ends inside a block."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.ir.graph import Graph, Node
from cnndsl.memory import Use, validate
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import WINOGRAD, assert_agrees, compiled, machine
from tests.marks import whole
from tests.memory.replay import used
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values


def dense(channels: int, growth: list[int], kernel: int) -> Graph:
    """Layers bn, relu and conv, each followed by a concat with all that was there before."""
    graph, x = start(channels, 9, 10)
    x = then(graph, "first", "conv", x, filters=channels, kernel=1)
    for index, filters in enumerate(growth):
        node = then(graph, f"bn{index}", "bn", x)
        node = then(graph, f"relu{index}", "relu", node)
        new = then(graph, f"conv{index}", "conv", node, filters=filters, kernel=kernel)
        x = then(graph, f"concat{index}", "concat", x, new)
    return ended(graph, x)


def ended(graph: Graph, x: Node) -> Graph:
    """The graph as it is compiled, with a convolution behind x."""
    graph.outputs = {"out": then(graph, "last", "conv", x, filters=8, kernel=3).name}
    return optimise(graph, fusions=BACKEND.fusions)[0]


def checked(graph: Graph, extension: str, batch: int) -> Program:
    """The program of a graph that computes what it should."""
    values = parameter_values(graph, 3)
    (name,) = graph.inputs
    shape = (batch, *graph[name].type.shape)
    inputs = {name: np.random.default_rng(4).normal(size=shape).astype(np.float32)}
    module = compiled(graph, values, batch=batch, extension=extension)
    assert_agrees(module, graph, values, inputs, WINOGRAD)
    found = lower(graph, batch, machine(extension))
    validate(found.graph, found.plan, found.options)
    return found


@pytest.mark.parametrize(
    ("extension", "batch"), [whole("avx512", 1), ("avx2", 2), whole("scalar", 1)]
)
@pytest.mark.parametrize(("channels", "kernel"), [(24, 3), (19, 1), whole(48, 3)])
def test_dense_blocks(extension: str, batch: int, channels: int, kernel: int):
    found = checked(dense(channels, [12, 12, 24, 5, 16], kernel), extension, batch)
    assert all(indices == (1,) for indices in used(found.plan, Use.APPEND).values())
    grown = {found.plan.address(f"concat{index}") for index in range(5)}
    assert grown == {found.plan.address("first")}


def test_a_concat_copies_what_begins_inside_a_block():
    """Written anew: the block in which 20 channels end, and two more, of 35."""
    found = checked(dense(20, [15], 3), "avx512", 1)
    (step,) = [step for step in found.steps if step.node == "concat0"]
    assert [x.channels for x in step.call.inputs] == [4, 15]
    assert (step.call.output.channels, step.call.output.blocks) == (19, 2)
    assert step.output == step.inputs[0]


@pytest.mark.parametrize("batch", [1, 2])
def test_many_blocks_behind_the_first_operand(batch: int):
    """More than are written out one by one."""
    graph, x = start(20, 3, 4)
    x = then(graph, "first", "conv", x, filters=20, kernel=1)
    wide = then(graph, "wide", "conv", x, filters=300, kernel=1)
    found = checked(ended(graph, then(graph, "concat", "concat", x, wide)), "avx2", batch)
    assert used(found.plan, Use.APPEND) == {"concat": (1,)}


def test_a_concat_begins_with_an_operand_that_is_read_again():
    graph, x = start(20, 5, 6)
    x = then(graph, "first", "conv", x, filters=20, kernel=1)
    y = then(graph, "concat", "concat", x, then(graph, "new", "conv", x, filters=7, kernel=3))
    y = then(graph, "narrow", "conv", y, filters=20, kernel=1)
    found = checked(ended(graph, then(graph, "sum", "max", y, x)), "avx2", 1)
    assert used(found.plan, Use.APPEND) == {"concat": (1,)}
