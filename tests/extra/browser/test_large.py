"""Large networks open within 2 s and unfold within 0.2 s on a quiet machine.

The times are printed (`pytest -s`); what is checked is that no more is laid out than is unfolded.
"""

import time

import pytest
from playwright.sync_api import expect

import cnndsl
from tests.extra.browser.conftest import ready

MOST_SHOWN = 150


def opened(tab, address):
    begin = time.perf_counter()
    tab.goto(address)
    ready(tab)
    return time.perf_counter() - begin


def unfolded(tab):
    """The slowest of unfolding five parts, in milliseconds."""
    times = []
    for _ in range(5):
        tab.locator("#items g[aria-expanded=false]").first.focus()
        before = tab.get_by_role("treeitem").count()
        begin = time.perf_counter()
        tab.keyboard.press("ArrowRight")
        expect(tab.get_by_role("treeitem")).not_to_have_count(before)
        times.append(1000 * (time.perf_counter() - begin))
    return max(times)


@pytest.mark.parametrize("spec", ["densenet264", "inception_v4"])
def test_networks_of_the_zoo(tab, written, spec):
    measured(tab, written(spec), spec)


DEEP = """network deep {
    input x [4, 8, 8]
    a: repeat 6 { b: repeat 6 { c: repeat 6 { d: repeat 10 {
        conv(4, 1) -> bn -> e: add { relu -> conv(4, 3) -> relu -> bn | identity } -> relu
    } } } }
}
"""
CELLS = """
block sep(c, k) { repeat 2 { relu -> depthwise(k) -> conv(c, 1, bias=false) -> bn } }
block cell(c) {
    concat { add { sep(c, 5) | sep(c, 3) } | add { sep(c, 5) | sep(c, 3) }
           | add { avgpool(3, stride=1, pad=1) | identity } | add { sep(c, 3) | identity } }
    conv(c, 1) -> bn
}
network nasnet_like {
    input image [3, 32, 32]
    stem: conv(8, 3)
    stages: for i in range(4) { cells: for j in range(30) { cell(8) } }
    global_avgpool -> fc(10)
}
"""


@pytest.mark.parametrize(("text", "nodes"), [(CELLS, 5764), (DEEP, 17281)], ids=["cells", "deep"])
def test_networks_of_many_nodes(tab, written, text, nodes):
    graph = cnndsl.parse(text).graph
    assert len(graph) == nodes
    measured(tab, written(graph.name, graph), graph.name)


def measured(tab, address, name):
    seconds = opened(tab, address)
    assert 0 < tab.get_by_role("treeitem").count() <= MOST_SHOWN
    print(f"{name}: opens in {seconds:.2f} s, unfolds in {unfolded(tab):.0f} ms")
