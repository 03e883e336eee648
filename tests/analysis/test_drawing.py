import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import Source, Span
from cnndsl.drawing.dot import dot
from cnndsl.drawing.layout import lay_out
from cnndsl.drawing.scene import connections, scene
from cnndsl.drawing.svg import svg
from cnndsl.ir.graph import Auxiliary
from cnndsl.ir.operators import Add, Conv, FullyConnected, MaxPool, Relu
from cnndsl.ir.text import operator_label
from tests.analysis.sketch import chain, dense, inception, put, residual, start

SKETCHES = [residual(), inception(), dense(), residual((3, 4, 6, 3))]
SVG = "{http://www.w3.org/2000/svg}"


def texts(picture):
    return ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]


def all_placed(placed):
    yield placed
    for child in placed.children:
        yield from all_placed(child)


@pytest.mark.parametrize("sketch", SKETCHES[:3], ids=lambda s: s.name)
def test_every_node_is_drawn_once_and_every_edge_ends_at_its_box(sketch):
    picture = ElementTree.fromstring(svg(sketch.graph, 99))
    titles = [title.text.split(":")[0] for title in picture.iter(f"{SVG}title")]
    for node in sketch.graph.nodes():
        assert titles.count(node.name) == 1
    arrows = [path for path in picture.iter(f"{SVG}path") if path.get("marker-end")]
    links = {(p.name, n.name) for n in sketch.graph.nodes() for p in sketch.graph.producers(n)}
    crossing = sum(a.rpartition(".")[0] != b.rpartition(".")[0] for a, b in links)
    assert len(links) + 1 - crossing <= len(arrows) <= len(links) + 1


@pytest.mark.parametrize("depth", [1, 2, 3, None])
@pytest.mark.parametrize("sketch", SKETCHES, ids=lambda s: f"{s.name}{len(s.graph)}")
def test_no_boxes_overlap_and_all_stand_within_their_parent(sketch, depth):
    for placed in all_placed(lay_out(scene(sketch.graph, depth))):
        for child in placed.children:
            assert child.x >= 0
            assert child.y >= 0
            assert child.x + child.width <= placed.width
            assert child.y + child.height <= placed.height
        for a, b in itertools.combinations(placed.children, 2):
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            above = a.y + a.height <= b.y or b.y + b.height <= a.y
            assert beside or above


@pytest.mark.parametrize("sketch", SKETCHES, ids=lambda s: f"{s.name}{len(s.graph)}")
def test_edges_go_down_between_the_right_boxes_and_cross_none(sketch):
    for placed in all_placed(lay_out(scene(sketch.graph, 99))):
        boxes = {child.box.key: child for child in placed.children}
        for edge, (points, _) in zip(placed.box.edges, placed.routes, strict=True):
            assert [y for _, y in points] == sorted(y for _, y in points)
            if edge.source:
                box = boxes[edge.source]
                assert points[0] == (box.x + box.bottom(edge.value), box.y + box.height)
            if edge.target:
                box = boxes[edge.target]
                assert points[-1] == (box.x + box.top(edge.value), box.y)
            for (x, top), (_, bottom) in zip(points[::2], points[1::2], strict=True):
                for box in placed.children:
                    across = box.x < x < box.x + box.width
                    assert not across or bottom <= box.y or top >= box.y + box.height


def test_deep_blocks_are_closed_boxes():
    sketch = SKETCHES[3]
    words = texts(ElementTree.fromstring(svg(sketch.graph, 2)))
    assert "0: bottleneck" in words
    assert "12 nodes, 64×16×16" in words
    assert not any("conv 1×1" in word for word in words)
    assert texts(ElementTree.fromstring(svg(sketch.graph))) == words
    assert any("conv 1×1" in word for word in texts(ElementTree.fromstring(svg(sketch.graph, 3))))


REPEATED = """
block unit(width) { conv(width, 3) -> relu }
network repeated {
    input image [4, 8, 8]
    stem: conv(8, 3)
    relu
    tail: for i in range(5) { unit(8 + i) }
    wide: { add { unit(6) | unit(6) | unit(6) | conv(6, 1) } }
}
"""


def test_equal_closed_blocks_are_drawn_once():
    graph = cnndsl.parse(REPEATED).graph
    words = texts(ElementTree.fromstring(svg(graph, 2)))
    assert {"5 × unit", "0 to 4, 12×8×8", "3 × unit"} <= set(words)
    links = connections(graph, scene(graph, 2))
    inside = {pair for pair in links if "tail" in "".join(pair)}
    assert inside == {("relu1", "tail.0."), ("tail.0.", "wide.unit1."), ("tail.0.", "wide.conv1")}
    opened = texts(ElementTree.fromstring(svg(graph, 3)))
    assert not any("×" in word and "unit" in word for word in opened)


def test_the_names_that_a_network_gives_are_shown():
    words = texts(ElementTree.fromstring(svg(cnndsl.parse(REPEATED).graph)))
    assert "stem: conv 3×3, 8" in words
    assert not any(word.startswith(("relu1", "conv1")) for word in words)


def test_the_same_graph_gives_the_same_bytes():
    assert svg(residual().graph) == svg(residual().graph)
    assert dot(inception().graph) == dot(inception().graph)


def test_outputs_auxiliaries_and_doubled_edges():
    graph, x = start((4, 8, 8))
    x = put(graph, "twice", Add(), x, x)
    graph.outputs["sum"] = x.name
    graph.auxiliaries["early"] = Auxiliary(put(graph, "fc", FullyConnected(2), x).name, 0.3)
    words = texts(ElementTree.fromstring(svg(graph)))
    assert {"sum", "output", "early", "auxiliary"} <= set(words)


def test_blocks_that_feed_each_other_are_drawn_all_the_same():
    graph, x = start((4, 8, 8))
    x = put(graph, "a.first", Relu(), x)
    x = put(graph, "b.middle", Relu(), x)
    graph.outputs["end"] = put(graph, "a.last", Relu(), x).name
    assert svg(graph, 1)
    assert svg(graph, 2)


def test_edges_of_parts_that_are_not_connected_bend_where_they_pass():
    graph, x = start((4, 8, 8))
    early = put(graph, "a.early", Relu(), x)
    middle = put(graph, "b.middle", Relu(), early)
    left = put(graph, "a.left", Relu(), middle)
    low = put(graph, "a.low", Relu(), put(graph, "a.deep", Relu(), left))
    graph.outputs["end"] = put(graph, "a.sum", Add(), low, middle).name
    (placed,) = (p for p in all_placed(lay_out(scene(graph, 2))) if p.box.key == "a")
    assert len(placed.routes) == 8
    for points, _ in placed.routes:
        assert [y for _, y in points] == sorted(y for _, y in points)


def test_tooltips_are_valid_xml_whatever_the_file_is_called():
    graph, x = start((4, 8, 8))
    source = Source('folder/a\x07<&>".cnn', "relu")
    graph.outputs["end"] = put(graph, "relu", Relu(), x, spans=frozenset({Span(source, 0, 4)})).name
    picture = ElementTree.fromstring(svg(graph))
    tips = [title.text for title in picture.iter(f"{SVG}title")]
    assert any(tip.endswith('a\N{REPLACEMENT CHARACTER}<&>".cnn:1:1') for tip in tips)


@pytest.mark.parametrize(
    ("op", "label"),
    [
        (Conv(64, (7,), (2,)), "conv 7×7, 64, /2"),
        (Conv(64, (3, 1), (2, 1), dilation=(2,)), "conv 3×1, 64, /2×1, dilation 2×2"),
        (Conv(8, (3,), groups=4), "conv 3×3, 8, groups 4"),
        (MaxPool((3,), (2,)), "maxpool 3×3, /2"),
        (FullyConnected(10), "fc 10"),
        (Relu(), "relu"),
    ],
)
def test_labels(op, label):
    graph, x = start((8, 16, 16))
    assert operator_label(put(graph, "node", op, x).op) == label


def test_dot_has_every_node_and_edge_and_escapes_text():
    graph, x = start((4, 8, 8), 'quo"ted')
    graph.scopes["part"] = "block"
    x = chain(graph, "part.", x, Conv(4, (3,)), Relu())
    graph.outputs["end"] = x.name
    text = dot(graph).decode()
    assert text.startswith('digraph "quo\\"ted" {\n')
    assert '"part.conv0" -> "part.relu1"' in text
    assert '"image" -> "part.conv0"' in text
    assert '"part.relu1" -> "output end"' in text
    assert 'subgraph "cluster part" {' in text
    assert text.count("{") == text.count("}")
    assert '"image" -> "part."' in dot(graph, 1).decode()


EXCHANGE = """
block branch(width) { conv(width, 3) -> relu -> conv(width, 3) }
network exchange {
    input image [4, 16, 16]
    let a = image -> a: branch(4)
    let b = image -> b: branch(4)
    let c = image -> c: branch(4)
    let d = image -> d: branch(4)
    let p = add { a | b -> pb: branch(4) | c -> pc: branch(4) | d -> pd: branch(4) }
    let q = add { a -> qa: branch(4) | b | c -> qc: branch(4) | d -> qd: branch(4) }
    let r = add { a -> ra: branch(4) | b -> rb: branch(4) | c | d -> rd: branch(4) }
    add { p | q | r }
}
"""


def curves(points):
    """x and y along each curve of a route between layers, whose controls are halfway down."""
    t = np.linspace(0, 1, 101)
    for (x0, y0), (x1, y1) in zip(points[1::2], points[2::2], strict=False):
        if x0 != x1:
            x = x0 + (x1 - x0) * t * t * (3 - 2 * t)
            yield x, y0 + (y1 - y0) * (1.5 * t * (1 - t) + t**3)


def share_on(first, second):
    """How much of a curve lies within 1.5 pixels above or below another one."""
    (x, y), (u, v) = first, second
    u, v = (u, v) if u[0] < u[-1] else (u[::-1], v[::-1])
    within = (u[0] < x) & (x < u[-1])
    return np.mean(within & (np.abs(y - np.interp(x, u, v)) < 1.5))


def test_edges_between_other_boxes_do_not_lie_on_each_other():
    placed = lay_out(scene(cnndsl.parse(EXCHANGE).graph, 1))
    routes = dict(zip(placed.box.edges, (points for points, _ in placed.routes), strict=True))
    for (e, first), (f, second) in itertools.combinations(routes.items(), 2):
        if e.value != f.value and e.target != f.target:
            for pair in itertools.product(curves(first), curves(second)):
                assert share_on(*pair) < 0.07, (e, f)


def test_boxes_that_share_weights_say_so():
    text = """
block tower { conv(8, 3) -> relu }
network twins {
    input left [4, 8, 8]
    input right [4, 8, 8]
    layer twin = tower
    let a = left -> twin
    let b = right -> twin
    add { a | b }
}
"""
    words = texts(ElementTree.fromstring(svg(cnndsl.parse(text).graph)))
    assert {"twin: tower", "twin (its weights again): tower"} <= set(words)
