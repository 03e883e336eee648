"""The graph of a page: every node and edge once, in parts that fold."""

import pytest

import cnndsl
from cnndsl.page.parts import Parts

CHAIN = "network chain {{ input x [1, 4, 4]\n{} }}\n"


def parts_of(spec):
    graph = cnndsl.parse(spec).graph
    return graph, Parts(graph, [])


@pytest.mark.parametrize("spec", ["resnet50", "googlenet", "densenet121"])
def test_rows_hold_every_node_once_and_sums_are_those_of_the_network(spec):
    graph, parts = parts_of(spec)
    holders = {row["in"] for row in parts.rows[1:]}
    leaves = [row for i, row in enumerate(parts.rows) if i not in holders and row["nodes"]]
    assert sorted(row["path"] for row in leaves) == sorted(node.name for node in graph.nodes())
    network = cnndsl.parse(spec)
    for key, whole in (("params", network.params), ("macs", network.macs), ("nodes", len(graph))):
        assert sum(row[key] for row in leaves) == parts.rows[0][key] == whole
        inside = [0] * len(parts.rows)
        for row in parts.rows[1:]:
            inside[row["in"]] += row[key]
        assert all(inside[i] == parts.rows[i][key] for i in holders)


def test_edges_are_those_of_the_graph_and_of_its_outputs():
    graph, parts = parts_of("googlenet")
    paths = [(parts.rows[a]["path"], parts.rows[b]["path"]) for a, b in parts.edges]
    inner = [(p.name, node.name) for node in graph.nodes() for p in graph.producers(node)]
    outer = [(node, f"output {name}") for name, node in graph.outputs.items()]
    outer += [(a.node, f"auxiliary {name}") for name, a in graph.auxiliaries.items()]
    assert sorted(paths) == sorted(inner + outer)


def test_equal_blocks_stand_in_one_row_with_their_number():
    _, parts = parts_of("resnet50")
    repeats = {row["path"]: row["title"] for row in parts.rows if row["kind"] == "repeat"}
    assert repeats == {
        "conv2_x.1..conv2_x.2": "2 × bottleneck",
        "conv3_x.1..conv3_x.3": "3 × bottleneck",
        "conv4_x.1..conv4_x.5": "5 × bottleneck",
        "conv5_x.1..conv5_x.2": "2 × bottleneck",
    }


def test_a_row_has_its_shape_its_field_and_its_lines():
    text = "network tiny {\n    input x [3, 8, 8]\n    conv(4, 3, stride=2)\n    relu -> relu\n}\n"
    graph = cnndsl.parse(text).graph
    texts = []
    rows = {row["path"]: row for row in Parts(graph, texts).rows}
    assert [t.text for t in texts] == [text]
    assert [rows[n]["lines"] for n in ("x", "conv1", "relu1", "relu2")] == [
        [(0, 2)], [(0, 3)], [(0, 4)], [(0, 4)]
    ]  # fmt: skip
    assert (rows["relu2"]["shape"], rows["relu2"]["field"]) == ("4×4×4", "3, stride 2")


@pytest.mark.parametrize("count", [3, 7, 64, 70])
def test_no_part_has_too_many_children(count, monkeypatch):
    monkeypatch.setattr("cnndsl.page.parts.MOST", 4)
    graph, parts = parts_of(CHAIN.format(f"for i in range({count}) {{ relu }}"))
    sizes = [0] * len(parts.rows)
    for row in parts.rows[1:]:
        sizes[row["in"]] += 1
    assert max(sizes) <= 4 + len(graph.outputs)
    assert sum(row["kind"] == "relu" for row in parts.rows) == count


def test_what_holds_a_row_comes_before_it():
    _, parts = parts_of("densenet121")
    assert all(row["in"] < i for i, row in enumerate(parts.rows) if i)
