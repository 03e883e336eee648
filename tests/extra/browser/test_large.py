"""Large networks open within 2 s and unfold within 0.2 s on a quiet machine.

The times are printed (`pytest -s`); what is checked is that no more is laid out than is unfolded.
"""

import re
import time
from statistics import median

import pytest
from playwright.sync_api import expect

import cnndsl
from tests.extra.browser.conftest import ready

MOST_SHOWN = 150
MOST_UNFOLDED = 250


def opened(tab, address):
    begin = time.perf_counter()
    tab.goto(address)
    ready(tab)
    return time.perf_counter() - begin


UNFOLD = """async (most) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const drawn = () => new Promise((done) => new MutationObserver((_, seen) => {
    seen.disconnect();
    done();
  }).observe(document.documentElement, {attributeFilter: ["data-drawn"]}));
  const times = [];
  for (;;) {
    const closed = document.querySelector("#items [aria-expanded=false]");
    if (!closed || times.length === most) return times;
    closed.focus();
    await frame();
    const begin = performance.now(), redrawn = drawn();
    closed.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    await redrawn;
    await frame();
    times.push(performance.now() - begin);
  }
}"""


def unfolded(tab):
    """The times of unfolding part after part, from the key to the frame behind, in ms."""
    return tab.evaluate(UNFOLD, MOST_UNFOLDED)


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
    before = tab.get_by_role("treeitem").count()
    assert 0 < before <= MOST_SHOWN
    times = unfolded(tab)
    shown = tab.get_by_role("treeitem").count()
    assert shown > before
    print(
        f"{name}: opens in {seconds:.2f} s; {len(times)} parts unfold in {median(times):.0f} ms, "
        f"the slowest in {max(times):.0f} ms; {shown} parts are in the document then"
    )


CHAINS = f"""network chains {{
    input x [4, 8, 8]
    a: repeat 40 {{ {" -> ".join(["conv(4, 1) -> bn -> relu -> sigmoid"] * 10)} }}
    last: tanh
}}
"""


def in_sight(tab):
    """Names of the parts in the viewport."""
    return tab.locator("#items [role=treeitem]").evaluate_all(
        """all => all.filter(g => { const b = g.getBoundingClientRect();
        return b.bottom > 150 && b.top < 850; }).map(g => g.getAttribute("aria-label"))"""
    )


def test_of_very_many_parts_those_near_are_in_the_document(tab, written):
    tab.goto(written("chains", cnndsl.parse(CHAINS).graph))
    ready(tab)
    unfolded(tab)
    items, focused = tab.get_by_role("treeitem"), tab.locator("#items g:focus")
    assert 20 < items.count() < 300
    focused.press("End")
    expect(focused).to_have_attribute("aria-label", re.compile("^output"))
    tab.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("aria-label", re.compile("^last"))
    assert len(in_sight(tab)) > 5
    tab.locator("#graph").hover()
    for _ in range(20):
        tab.mouse.wheel(0, -3000)
        assert len(in_sight(tab)) > 5
        assert items.count() < 300
    tab.keyboard.press("Home")
    expect(focused).to_have_attribute("aria-label", re.compile("^input x"))
    tab.get_by_role("button", name="Fold all").click()
    expect(items).to_have_count(4)
