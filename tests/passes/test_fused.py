"""Fused operators against their parts as nodes of their own, in numpy and through ONNX."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators import (
    Add,
    Affine,
    Conv,
    FullyConnected,
    Fused,
    GlobalAvgPool,
    Input,
    Mul,
    PRelu,
    Relu,
    Scale,
)
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.verify import verify
from tests.onnx.support import assert_close, compiled
from tests.operators.cases import apply, parameter_values

CASES = {
    "all": Fused(
        Conv(4, (3,), groups=2), (Affine(), Relu()), (Add(), Affine(), PRelu(), Mul(), Relu())
    ),
    "prologue": Fused(GlobalAvgPool(), (Scale((2.0,), (-0.5,)), Relu())),
    "plain": Fused(Conv(4, (3,))),
    "vector": Fused(FullyConnected(4), (), (Relu(), Add())),
}


def both_graphs(op: Fused) -> tuple[Graph, Graph]:
    """The fused operator as one node, and as a chain of its parts with the same parameters."""
    joins = sum(part.operands is None for part in op.epilogue)
    shape = op.infer([Input((4, 6, 5)).infer([])] * (joins + 1)).shape
    graphs = []
    for _ in range(2):
        graph = Graph("fused")
        graph.add("x", Input((4, 6, 5)), [])
        for index in range(joins):
            graph.add(f"y{index}", Input(shape), [])
        graph.inputs = list(graph.nx)
        graphs.append(graph)
    one, chain = graphs
    apply(one, "result", op, [one[name] for name in one.inputs])
    value, *others = (chain[name] for name in chain.inputs)
    for label, part in op.labelled():
        operands = [value, others.pop(0)] if part.operands is None else [value]
        value = apply(chain, f"result.{label}", part, operands)
    one.outputs, chain.outputs = {"out": "result"}, {"out": value.name}
    return one, chain


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


def test_cost_is_that_of_the_core() -> None:
    op = CASES["all"]
    types = [Input((4, 6, 5)).infer([])] * 3
    bound = op.bind(types)
    conv = Conv(4, (3,), groups=2).bind(types[:1])
    assert bound.macs(types, bound.infer(types)) == conv.macs(types[:1], types[0])


def test_takes_an_operand_for_each_join() -> None:
    assert [count for count in range(6) if CASES["all"].takes(count)] == [3]
    assert [count for count in range(6) if CASES["plain"].takes(count)] == [1]


def test_parts_that_do_not_fit_are_refused() -> None:
    graph = Graph("wrong")
    x = graph.add("x", Input((4,)), [])
    with pytest.raises(OperatorError):
        graph.add("y", CASES["plain"], [x])


@pytest.mark.parametrize("name", CASES)
def test_survives_an_artefact(name: str) -> None:
    one, _ = both_graphs(CASES[name])
    again = from_json(json.loads(json.dumps(to_json(one))))
    assert again["result"].op == one["result"].op
    assert again["result"].params == one["result"].params


@pytest.mark.parametrize("part", ["fused", "input", "nothing"])
def test_hostile_parts_are_refused(part: str) -> None:
    one, _ = both_graphs(CASES["plain"])
    data = json.loads(json.dumps(to_json(one)))
    data["nodes"][-1]["attributes"]["core"] = [part, {}]
    with pytest.raises(ValueError, match=r"operands|not a graph"):
        from_json(data)


def test_verify_names_what_is_wrong() -> None:
    one, _ = both_graphs(CASES["plain"])
    broken: dict[str, dict[str, object]] = {
        "has {}": {"params": {}},
        "bound": {"op": CASES["plain"]},
        "makes": {"type": Input((9, 6, 5)).infer([])},
        "operands": {"op": Add()},
        "stands under": {"name": "other"},
    }
    for message, change in broken.items():
        graph = one.copy()
        graph.update(graph["result"], **change)
        with pytest.raises(AssertionError, match=message):
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
