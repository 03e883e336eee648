"""Texts of graphs: each makes its graph again, is canonical, and says nothing twice."""

from hypothesis import HealthCheck, given, settings

from cnndsl.api import parse
from cnndsl.decompile import decompile
from cnndsl.format import format_source
from cnndsl.ir.operators.structure import Identity
from tests.passes.random_graphs import samples


def rebuilt(graph, name="network"):
    """The graph of a graph's text, compared node by node with the graph."""
    result = decompile(graph, name)
    assert format_source(result.text) == result.text
    made = parse(result.text).graph
    assert set(result.names) == set(graph.nx)
    for node in graph.nodes():
        other = made[result.names[node.name]]
        if isinstance(node.op, Identity):
            assert result.names[graph.producers(node)[0].name] == other.name
            continue
        assert node.op == other.op
        assert node.type == other.type
        assert [e.shape for e in node.params.values()] == [e.shape for e in other.params.values()]
        names = [result.names[producer.name] for producer in graph.producers(node)]
        assert names == [producer.name for producer in made.producers(other)]
    assert [result.names[name] for name in graph.inputs] == made.inputs
    assert {name: result.names[node] for name, node in graph.outputs.items()} == made.outputs
    return result.text


@given(samples())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_graph_has_a_text(sample):
    rebuilt(sample.graph)
