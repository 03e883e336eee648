"""Fused operators against their parts as nodes of their own, in numpy and through ONNX."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cnndsl.analysis.cost import graph_cost
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators import (
    Add,
    Affine,
    Conv,
    FullyConnected,
    GlobalAvgPool,
    Input,
    MaxPool,
    Mul,
    PRelu,
    Relu,
    Scale,
)
from cnndsl.ir.part import chained
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.verify import verify
from tests.onnx.support import assert_close, compiled
from tests.operators.cases import Chain, apply, apply_chain, parameter_values

CASES = {
    "all": Chain(
        Conv(4, (3,), groups=2), (Affine(), Relu()), (Add(), Affine(), PRelu(), Mul(), Relu())
    ),
    "prologue": Chain(GlobalAvgPool(), (Scale((2.0,), (-0.5,)), Relu())),
    "plain": Chain(Conv(4, (3,))),
    "vector": Chain(FullyConnected(4), (), (Relu(), Add())),
}


def both_graphs(chain: Chain) -> tuple[Graph, Graph]:
    """The operators as one node, and as nodes of their own with the same parameters."""
    joins = sum(operator.operands is None for operator in chain.epilogue)
    image = Input((4, 6, 5)).infer([])
    shape = chain.core.bind([image]).infer([image]).shape
    graphs = []
    for _ in range(2):
        graph = Graph("fused")
        graph.add("x", Input((4, 6, 5)), [])
        for index in range(joins):
            graph.add(f"y{index}", Input(shape), [])
        graph.inputs = list(graph.nx)
        graphs.append(graph)
    one, several = graphs
    apply_chain(one, "result", chain, [one[name] for name in one.inputs])
    value, *others = (several[name] for name in several.inputs)
    for label, operator in zip(chain.labels(), chain.operators(), strict=True):
        operands = [value, others.pop(0)] if operator.operands is None else [value]
        value = apply(several, f"result.{label}", operator, operands)
    one.outputs, several.outputs = {"out": "result"}, {"out": value.name}
    return one, several


@pytest.mark.parametrize("name", CASES)
def test_equals_its_parts(name: str) -> None:
    one, chain = both_graphs(CASES[name])
    verify(one)
    assert one["result"].type == chain[chain.outputs["out"]].type
    assert one.parameters() == chain.parameters()
    values = parameter_values(one, seed=3)
    rng = np.random.default_rng(4)
    inputs = {port: rng.normal(size=(2, *one[port].type.shape)) for port in one.inputs}
    expected = run_graph(chain, values, inputs)["out"]
    np.testing.assert_allclose(run_graph(one, values, inputs)["out"], expected, rtol=1e-12)
    module = compiled(one, seed=3)
    singles = {port: array.astype(np.float32) for port, array in inputs.items()}
    assert_close(np.asarray(module.run(singles)["out"]), expected)


def test_cost_is_that_of_the_parts() -> None:
    one, several = both_graphs(CASES["all"])
    assert one["result"].macs == graph_cost(several).macs == 4 * 2 * 9 * 30


def test_takes_an_operand_for_each_join() -> None:
    types = [Input((4, 6, 5)).infer([])] * 3
    steps = [(operator, {}) for operator in CASES["all"].operators()]
    assert len(chained(steps, types)) == 8
    for count in (0, 1, 2, 4):
        with pytest.raises(ValueError, match="operands"):
            chained(steps, (types * 2)[:count])


def test_parts_that_do_not_fit_are_refused() -> None:
    graph = Graph("wrong")
    x = graph.add("x", Input((4,)), [])
    with pytest.raises(OperatorError):
        apply_chain(graph, "y", CASES["prologue"], [x])


@pytest.mark.parametrize("name", CASES)
def test_survives_an_artefact(name: str) -> None:
    one, _ = both_graphs(CASES[name])
    again = from_json(json.loads(json.dumps(to_json(one))))
    for field in ("prologue", "core", "epilogue"):
        assert getattr(again["result"], field) == getattr(one["result"], field)
    assert list(again["result"].expressions()) == list(one["result"].expressions())


@pytest.mark.parametrize("part", ["fused", "input", "nothing"])
def test_hostile_parts_are_refused(part: str) -> None:
    one, _ = both_graphs(CASES["vector"])
    for index in range(3):
        data = json.loads(json.dumps(to_json(one)))
        data["nodes"][-1]["parts"][index]["op"] = part
        with pytest.raises(ValueError, match=r"operands|attributes|not a graph"):
            from_json(data)


@pytest.mark.parametrize("core", [-1, 3, "1", None])
def test_a_core_that_is_no_part_is_refused(core: object) -> None:
    one, _ = both_graphs(CASES["vector"])
    data = json.loads(json.dumps(to_json(one)))
    data["nodes"][-1]["core"] = core
    with pytest.raises(ValueError, match=r"index|not a graph"):
        from_json(data)


def test_verify_names_what_is_wrong() -> None:
    one, _ = both_graphs(CASES["plain"])
    broken: dict[str, dict[str, object]] = {
        "has {}": {"params": {}},
        "not Part": {"op": Conv(4, (3,))},
        "is Part": {"output": Input((9, 6, 5)).infer([])},
        "operands": {"inputs": ()},
    }
    for message, change in broken.items():
        graph = one.copy()
        graph.update(graph["result"], **change)
        with pytest.raises(AssertionError, match=message):
            verify(graph)
    one.nx.nodes["result"]["node"] = replace(one["result"], name="other")
    with pytest.raises(AssertionError, match="stands under"):
        verify(one)


def test_a_pool_is_the_last_part() -> None:
    graph = Graph("pools")
    x = graph.add("x", Input((4, 6, 6)), [])
    graph.inputs = ["x"]
    chain = Chain(Conv(4, (3,)), (), (MaxPool((2,)), Relu()))
    graph.outputs = {"out": apply_chain(graph, "y", chain, [x]).name}
    with pytest.raises(AssertionError, match="not its last"):
        verify(graph)


def test_verify_finds_cycles_and_lost_names() -> None:
    one, _ = both_graphs(CASES["plain"])
    for name, change in {
        "outputs": {"out": "gone"},
        "inputs": [],
        "stages": [("s", "gone")],
    }.items():
        graph = one.copy()
        setattr(graph, name, change)
        with pytest.raises(AssertionError, match=r"gone|inputs"):
            verify(graph)
    graph = one.copy()
    graph.nx.add_edge("result", "x", key=0)
    with pytest.raises(AssertionError, match="cycle"):
        verify(graph)


def test_redefine_keeps_name_readers_and_type() -> None:
    graph = Graph("small")
    x = graph.add("x", Input((3, 4, 4)), [])
    weights: dict[str, Expression] = {"weight": Parameter("p", (3,), "prelu")}
    node = graph.add("n", Relu(), [x])
    reader = graph.add("r", Relu(), [node])
    op: Operator = PRelu()
    graph.redefine(node, op, [x], weights, frozenset())
    assert graph["n"].op == op
    assert graph["n"].params == weights
    assert graph.producers(reader) == [graph["n"]]
    with pytest.raises(ValueError, match="would be"):
        graph.redefine(graph["n"], GlobalAvgPool(), [x], {}, frozenset())
