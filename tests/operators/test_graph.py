"""The graph's methods on a residual block with a shared parameter."""

from __future__ import annotations

import pytest

from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Auxiliary, Graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Add, Concat, Conv, Identity, Input, Relu


@pytest.fixture
def graph() -> Graph:
    """x -> a -> b -> sum <- x; the convolutions share their weight; sum is added to itself."""
    graph = Graph("residual")
    weight = {"weight": Parameter("shared.weight", (3, 3, 3, 3), "he")}
    x = graph.add("x", Input((3, 8, 8)), [])
    a = graph.add("a", Conv(3, (3,), bias=False), [x], weight)
    b = graph.add("b", Conv(3, (3,), bias=False), [a], weight)
    total = graph.add("sum", Add(), [b, x])
    twice = graph.add("twice", Add(), [total, total])
    graph.inputs = ["x"]
    graph.outputs = {"y": twice.name}
    graph.auxiliaries = {"extra": Auxiliary("a", 0.3)}
    graph.stages = [("stem", "a"), ("end", "sum")]
    return graph


def test_order_and_neighbours(graph: Graph) -> None:
    assert [node.name for node in graph.nodes()] == ["x", "a", "b", "sum", "twice"]
    assert len(graph) == 5
    assert "sum" in graph
    assert "z" not in graph
    assert [node.name for node in graph.producers(graph["sum"])] == ["b", "x"]
    assert [node.name for node in graph.producers(graph["twice"])] == ["sum", "sum"]
    assert {(n.name, i) for n, i in graph.consumers(graph["x"])} == {("a", 0), ("sum", 1)}
    assert [i for _, i in graph.consumers(graph["sum"])] == [0, 1]
    assert [t.shape for t in graph.input_types(graph["twice"])] == [(3, 8, 8)] * 2
    assert graph.output_names(graph["a"]) == ["extra"]
    assert graph.output_names(graph["twice"]) == ["y"]


def test_nodes_are_bound_and_typed(graph: Graph) -> None:
    op = graph["a"].op
    assert isinstance(op, Conv)
    assert op.kernel == (3, 3)
    assert op.pads == ((1, 1), (1, 1))
    assert graph["a"].type.shape == (3, 8, 8)


def test_shared_parameters_count_once(graph: Graph) -> None:
    assert list(graph.parameters()) == ["shared.weight"]


def test_add_refuses(graph: Graph) -> None:
    with pytest.raises(ValueError, match="'a' exists"):
        graph.add("a", Relu(), [graph["x"]])
    with pytest.raises(OperatorError):
        graph.add("c", Conv(3, (20,), pad="valid"), [graph["x"]])
    assert "c" not in graph


def test_replace_moves_all_uses(graph: Graph) -> None:
    new = graph.add("new", Identity(), [graph["x"]])
    graph.replace(graph["sum"], new)
    assert [node.name for node in graph.producers(graph["twice"])] == ["new", "new"]
    assert graph.consumers(graph["sum"]) == []
    assert graph.stages == [("stem", "a"), ("end", "new")]
    graph.replace(graph["twice"], new)
    graph.replace(graph["a"], new)
    assert graph.outputs == {"y": "new"}
    assert graph.auxiliaries == {"extra": Auxiliary("new", 0.3)}
    graph.remove(graph["twice"])
    assert "twice" not in graph


def test_insert_after_keeps_operand_positions(graph: Graph) -> None:
    relu = graph.insert_after(graph["x"], "relu", Relu())
    assert [node.name for node in graph.producers(relu)] == ["x"]
    assert [node.name for node in graph.producers(graph["sum"])] == ["b", "relu"]
    assert [node.name for node in graph.producers(graph["a"])] == ["relu"]


def test_remove_refuses_what_is_used(graph: Graph) -> None:
    for name in ("x", "twice"):
        with pytest.raises(ValueError, match="still used"):
            graph.remove(graph[name])


def test_update_changes_one_field(graph: Graph) -> None:
    old = graph["a"]
    new = graph.update(old, params={})
    assert graph["a"] is new
    assert (new.name, new.op, new.type, new.params) == (old.name, old.op, old.type, {})


def test_copies_are_independent(graph: Graph) -> None:
    twin = graph.copy()
    twin.insert_after(twin["sum"], "relu", Relu())
    twin.update(twin["a"], params={})
    twin.outputs["z"] = "a"
    assert "relu" not in graph
    assert graph["a"].params
    assert graph.outputs == {"y": "twice"}
    assert [node.name for node in graph.producers(graph["twice"])] == ["sum", "sum"]


def test_operand_order_of_concat_is_kept(graph: Graph) -> None:
    node = graph.add("joined", Concat(), [graph["sum"], graph["x"], graph["sum"]])
    assert [producer.name for producer in graph.producers(node)] == ["sum", "x", "sum"]
