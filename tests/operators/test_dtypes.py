"""Number formats: what they are called, how they spread over a graph, the bytes that they take."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.analysis.report import report
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Add, Concat, Conv, Identity, Input, Relu
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.text import graph_text
from cnndsl.ir.types import DTYPES, FLOAT16, FLOAT32, DType, TensorType
from cnndsl.ir.verify import verify
from cnndsl.memory import Options, plan, validate
from cnndsl.memory.training import training_memory
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.backend import backends
from tests.analysis.sketch import Sketch, chain, put

BACKENDS = backends()


def network(dtype: DType) -> Graph:
    """conv -> relu -> concat with the convolution's result -> identity -> 1x1 conv, added to x."""
    graph = Graph("typed")
    x = graph.add("x", Input((4, 6, 6), dtype), [])
    a = chain(graph, "a", x, Conv(4, (3,)), Relu())
    both = put(graph, "both", Concat(), a, graph["aconv0"])
    last = chain(graph, "b", both, Identity(), Conv(4, (1,)))
    put(graph, "sum", Add(), last, x)
    graph.inputs, graph.outputs = ["x"], {"y": "sum"}
    return graph


@pytest.mark.parametrize("name", DTYPES)
def test_bytes_are_those_of_the_format(name: str) -> None:
    known = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    assert DTYPES[name].bytes == known.itemsize
    assert TensorType((3, 5, 7), DTYPES[name]).bytes == np.empty((3, 5, 7), known).nbytes


def test_only_other_formats_than_float32_are_shown() -> None:
    assert str(TensorType((3, 5, 7))) == "3x5x7"
    assert str(TensorType((3, 5, 7), FLOAT16)) == "3x5x7 float16"
    assert "x = input : 4x6x6\n" in graph_text(network(FLOAT32))
    assert "x = input : 4x6x6 float16\n" in graph_text(network(FLOAT16))
    attributes = [
        report(Sketch("typed", network(dtype)))["nodes"][0]["attributes"]
        for dtype in (FLOAT32, FLOAT16)
    ]
    assert attributes == [{"shape": [4, 6, 6]}, {"shape": [4, 6, 6], "dtype": "float16"}]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_results_have_the_format_of_the_operands(dtype: DType) -> None:
    graph = network(dtype)
    verify(graph)
    assert {node.type.dtype for node in graph.nodes()} == {dtype}
    optimised, _ = optimise(graph)
    assert {node.type.dtype for node in optimised.nodes()} == {dtype}
    assert "bidentity0" in graph
    assert "bidentity0" not in optimised


@pytest.mark.parametrize("operator", [Add(), Concat()])
def test_operands_of_two_formats_are_refused(operator: Add | Concat) -> None:
    graph = Graph("mixed")
    x = graph.add("x", Input((4, 6, 6)), [])
    y = graph.add("y", Input((4, 6, 6), FLOAT16), [])
    with pytest.raises(OperatorError, match="not float32 and float32 and float16") as e:
        graph.add("z", operator, [x, x, y])
    assert (e.value.code, e.value.show_operands) == ("E0315", True)


def test_an_operator_can_declare_a_format_of_its_own() -> None:
    class Halves(Identity):
        dtype = FLOAT16

    graph = network(FLOAT32)
    halves = graph.add("halves", Halves(), [graph["x"]])
    assert (halves.core.inputs[0].dtype, halves.type) == (FLOAT32, TensorType((4, 6, 6), FLOAT16))
    assert not halves.op.is_identity(graph["x"].type)
    assert halves.op.is_identity(halves.type)


def test_files_hold_the_format_of_inputs_that_are_not_float32() -> None:
    assert "dtype" not in json.dumps(to_json(network(FLOAT32)))
    data = json.loads(json.dumps(to_json(network(FLOAT16))))
    again = from_json(data)
    assert again["sum"].type == TensorType((4, 6, 6), FLOAT16)
    assert json.loads(json.dumps(to_json(again))) == data
    for wrong in ("float7", 3, ["float16"]):
        data["nodes"][0]["parts"][0]["attributes"]["dtype"] = wrong
        with pytest.raises(ValueError, match=r"float16|unhashable"):
            from_json(data)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_plans_and_costs_count_bytes(dtype: DType) -> None:
    graph, usual = network(dtype), network(FLOAT32)
    found, expected = plan(graph, Options(batch=2)), plan(usual, Options(batch=2))
    validate(graph, found, Options(batch=2))
    assert found.places["both"].size == 8 * 36 * dtype.bytes
    for name in ("sum_bytes", "lower_bound_bytes", "in_place_bytes"):
        assert getattr(found, name) * 4 == getattr(expected, name) * dtype.bytes, name
    assert found.arena_bytes < found.sum_bytes
    assert training_memory(graph).kept * 4 == training_memory(usual).kept * dtype.bytes
    assert graph_cost(graph).bytes == sum(n.type.elements for n in graph.nodes()) * dtype.bytes


@pytest.mark.parametrize("target", BACKENDS)
def test_backends_refuse_other_formats(target: str) -> None:
    chosen = BACKENDS[target]
    with pytest.raises(CnnError, match="x is 4x6x6 float16") as caught:
        chosen.compile(network(FLOAT16), {}, chosen.options())
    assert caught.value.diagnostics[0].code == "E0710"


def test_networks_are_float32() -> None:
    graph = cnndsl.parse("network n { input x [4, 6, 6]\nconv(2, 3) -> relu }").graph
    assert {node.type.dtype for node in graph.nodes()} == {FLOAT32}
