"""Tensors lie in one place if the zeros around them agree."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.ir.graph import Graph, Node
from cnndsl.memory import Use
from tests.cpu.support import assert_agrees, compiled, machine
from tests.memory.replay import used
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

ABOVE, BELOW = (((2, 0), (1, 1)), ((0, 2), (1, 1)))
"""Paddings of one size: equally large tensors that do not lie alike."""


def pointwise(graph: Graph, name: str, x: Node) -> Node:
    """A tensor without a halo, unless its readers need one."""
    return then(graph, name, "conv", x, filters=20, kernel=1)


def padded(graph: Graph, name: str, x: Node, pad: object) -> Node:
    """A reader that needs zeros around x."""
    return then(graph, name, "conv", x, filters=20, kernel=3, pad=pad)


def checked(graph: Graph, out: Node, batch: int) -> Program:
    """The program of a graph that computes what it should."""
    graph.outputs = {"out": out.name}
    values = parameter_values(graph, 1)
    inputs = {"image": np.random.default_rng(2).normal(size=(batch, 20, 9, 7))}
    module = compiled(graph, values, batch=batch, extension="avx2")
    assert_agrees(module, graph, values, inputs)
    return lower(graph, batch, machine("avx2"))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_join_overwrites_the_operand_with_its_halo(batch: int):
    graph, x = start(20, 9, 7)
    a, b = pointwise(graph, "a", x), pointwise(graph, "b", x)
    extra = then(graph, "extra", "add", padded(graph, "c", b, ABOVE), a)
    joined = then(graph, "joined", "add", extra, b)
    found = checked(graph, padded(graph, "last", joined, ABOVE), batch)
    assert used(found.plan, Use.OVER) == {"extra": (0,), "joined": (1,)}


@pytest.mark.parametrize("batch", [1, 2])
def test_a_chain_is_in_place_up_to_another_halo(batch: int):
    graph, x = start(20, 9, 7)
    node = then(graph, "first", "relu", pointwise(graph, "a", x))
    node = padded(graph, "last", then(graph, "second", "sigmoid", node), BELOW)
    assert used(checked(graph, node, batch).plan, Use.OVER) == {"first": (0,)}


@pytest.mark.parametrize("operator", ["identity", "dropout"])
def test_an_identity_with_another_halo_is_a_copy(operator: str):
    graph, x = start(20, 9, 7)
    a = pointwise(graph, "a", x)
    same = then(graph, "same", operator, a)
    pair = padded(graph, "above", a, ABOVE), padded(graph, "below", same, BELOW)
    assert not used(checked(graph, then(graph, "sum", "add", *pair), 1).plan, Use.VIEW)
