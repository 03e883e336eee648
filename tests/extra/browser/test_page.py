"""What a person does with the page, in a real browser."""

import os
import re
import threading

import pytest
from playwright.sync_api import expect

import cnndsl
from cnndsl.page.server import Live, server

TEXT = """\
block pair { conv(8, 3) -> relu }
network n {
    input x [3, 8, 8]
    stem: pair
}
"""


def part(tab, label):
    """The part whose title is this."""
    pattern = re.escape(label).replace("/", ".")
    return tab.get_by_role("treeitem", name=re.compile(rf"^{pattern}( |,|$)"))


def click(item):
    """Focus brings a part into view."""
    item.focus()
    item.locator("rect.body").click()


def titles(tab):
    return [text.strip() for text in tab.locator("#items text:not(.sub)").all_text_contents()]


def test_equal_blocks_unfold_in_place_and_fold_again(shown):
    tab = shown("resnet50")
    before = titles(tab)
    assert "5 × bottleneck" in before
    many = part(tab, "5 × bottleneck")
    expect(many).to_have_attribute("aria-expanded", "false")
    click(many)
    expect(many).to_have_attribute("aria-expanded", "true")
    assert len(titles(tab)) == len(before) + 5
    click(part(tab, "3: bottleneck"))
    expect(part(tab, "3: bottleneck")).to_have_attribute("aria-expanded", "true")
    added = titles(tab)
    assert added[added.index("3: bottleneck") + 1] == "conv 1×1, 256"
    click(many)
    expect(many).to_have_attribute("aria-expanded", "false")
    assert titles(tab) == before


def test_fold_all_leaves_the_outermost_parts(shown):
    tab = shown("resnet50")
    tab.get_by_role("button", name="Fold all").click()
    expect(part(tab, "conv2_x: loop")).to_have_attribute("aria-expanded", "false")
    assert tab.get_by_role("treeitem", expanded=True).count() == 0


INTERRUPT = """async (ticks) => {
  document.querySelector("#items [aria-expanded=false]").dispatchEvent(
    new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
  for (let k = 0; k < ticks; k++) await null;
  document.querySelector("#fold").click();
  await new Promise((done) => setTimeout(done, 20));
}"""


def test_what_changes_while_it_is_laid_out_is_drawn_as_it_is_then(shown):
    tab = shown("resnet50")
    tab.get_by_role("button", name="Fold all").click()
    for ticks in range(30):
        tab.evaluate(INTERRUPT, ticks)
        expect(tab.get_by_role("treeitem", expanded=True)).to_have_count(0)
    click(part(tab, "conv4_x: loop"))
    expect(part(tab, "5 × bottleneck")).to_have_attribute("aria-expanded", "false")


def closed_boxes(tab):
    """Left, top, right and bottom of all closed parts."""
    return tab.locator("#items g.closed rect.body").evaluate_all(
        "all => all.map(r => r.getBoundingClientRect()).map(b => [b.x, b.y, b.right, b.bottom])"
    )


@pytest.mark.parametrize("spec", ["inception_v4", "resnet50"])
def test_arrows_end_on_top_of_parts(shown, spec):
    tab = shown(spec)
    boxes = closed_boxes(tab)
    ends = tab.locator("#items path.end").evaluate_all(
        "all => all.map(p => p.getPointAtLength(p.getTotalLength()).matrixTransform("
        "p.getScreenCTM())).map(({x, y}) => [x, y])"
    )
    assert len(ends) >= len(boxes) - 1
    for x, y in ends:
        assert any(left <= x <= right and abs(y - top) < 1 for left, top, right, _ in boxes)


@pytest.mark.parametrize("spec", ["inception_v4", "resnet50"])
def test_no_two_closed_parts_overlap(shown, spec):
    boxes = closed_boxes(shown(spec))
    assert len(boxes) > 10
    for i, (x, y, right, bottom) in enumerate(boxes):
        for x2, y2, right2, bottom2 in boxes[:i]:
            assert x >= right2 or x2 >= right or y >= bottom2 or y2 >= bottom


def test_a_click_lights_the_line_and_the_other_way_round(shown):
    tab = shown("resnet50")
    click(part(tab, "maxpool 3×3, /2"))
    lit = tab.locator("#source [aria-selected=true]")
    expect(lit).to_have_count(1)
    expect(lit).to_contain_text("maxpool(3, stride=2, pad=1)")
    details = tab.get_by_role("region", name="Details")
    expect(details).to_contain_text("maxpool kernel=3x3 stride=2x2 pad=[1x1, 1x1]")
    expect(details).to_contain_text("64×112×112")
    expect(details).to_contain_text("64×56×56")
    expect(details).to_contain_text("11, stride 4")
    expect(details).to_contain_text("resnet50.cnn:14")
    tab.get_by_role("option").filter(has_text="fc: fc(classes)").click()
    marked = tab.locator("#items g.lit")
    expect(marked).to_have_count(2)
    names = [text.strip() for text in marked.locator("text:not(.sub)").all_text_contents()]
    assert names == ["global_avgpool", "fc 1000"]


def test_words_have_the_colours_of_their_kinds(shown):
    tab = shown("resnet50")
    line = tab.get_by_role("option").filter(has_text="avgpool: global_avgpool -> fc: fc(classes)")
    words = line.locator("span").evaluate_all("all => all.map(s => [s.textContent, s.className])")
    kinds = {"avgpool": "label", "global_avgpool": "function", "->": "operator", "fc": "function"}
    for word, kind in kinds.items():
        assert [word, f"word {kind}"] in words
    assert ["fc", "word label"] in words
    assert line.inner_text() == "    avgpool: global_avgpool -> fc: fc(classes)"
    colours = line.locator("span").evaluate_all("all => all.map(s => getComputedStyle(s).color)")
    assert len(set(colours)) == 4


def test_a_line_in_a_folded_block_lights_the_block(shown):
    tab = shown("resnet50")
    tab.get_by_role("option").filter(has_text="if channels != 4*width").click()
    expect(tab.locator("#items g.lit").first).to_have_attribute(
        "aria-label", re.compile("bottleneck")
    )


def test_search_unfolds_what_it_finds(shown):
    tab = shown("resnet50")
    tab.keyboard.press("/")
    tab.keyboard.type("conv4_x.3 relu2")
    expect(tab.locator("#found")).to_have_text("1 found")
    tab.keyboard.press("Enter")
    expect(tab.locator("#found")).to_have_text("1 of 1 found")
    chosen = tab.get_by_role("treeitem", selected=True)
    expect(chosen).to_have_count(1)
    expect(chosen).to_be_in_viewport()
    expect(tab.get_by_role("region", name="Details")).to_contain_text("conv4_x.3.relu2")


def test_the_keyboard_goes_everywhere(shown):
    tab = shown("resnet50")
    part(tab, "input image").focus()
    for _ in range(5):
        tab.keyboard.press("ArrowDown")
    expect(part(tab, "conv2_x: loop")).to_be_focused()
    tab.keyboard.press("ArrowRight")
    expect(part(tab, "0: bottleneck").first).to_be_focused()
    tab.keyboard.press("ArrowRight")
    expect(part(tab, "0: bottleneck").first).to_have_attribute("aria-expanded", "true")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#items g:focus")).to_have_attribute(
        "aria-label", re.compile("^conv 1×1, 64")
    )
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("region", name="Details")).to_contain_text("conv2_x.0.conv1")
    tab.keyboard.press("ArrowLeft")
    expect(part(tab, "0: bottleneck").first).to_be_focused()
    tab.keyboard.press("ArrowLeft")
    expect(part(tab, "0: bottleneck").first).to_have_attribute("aria-expanded", "false")
    tab.keyboard.press("End")
    expect(tab.locator("#items g:focus")).to_be_in_viewport()


def test_dark_and_light(shown):
    tab = shown("lenet5")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(colour) == "rgb(255, 255, 255)"
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate(colour) == "rgb(17, 24, 28)"
    tab.get_by_role("button", name="Light").click()
    assert tab.evaluate(colour) == "rgb(255, 255, 255)"


def test_the_wish_for_dark_is_known(tab, written):
    tab.emulate_media(color_scheme="dark")
    tab.goto(written("lenet5"))
    tab.wait_for_selector("html[data-theme=dark]", state="attached")


def test_costs_are_colours_and_numbers(shown):
    tab = shown("vgg16")
    tab.get_by_label("Colour").select_option("params")
    expect(tab.locator("#items")).to_contain_text("74 %")  # 102.8 of 138.4 million: the first fc
    darkest = max(tab.locator("rect.cost").all(), key=lambda r: float(r.get_attribute("opacity")))
    assert "102,764,544 parameters" in darkest.locator("..").get_attribute("aria-label")


def test_the_graph_as_optimised(shown):
    tab = shown("resnet50")
    tab.locator("#stage").select_option("optimised")
    expect(part(tab, "bn")).to_have_count(0)


def test_passes_and_memory(shown):
    tab = shown("resnet50")
    tab.get_by_role("tab", name="Passes").click()
    expect(tab.get_by_role("row", name=re.compile("^fuse-bn 176 123 53"))).to_be_visible()
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("tab", name="Memory")).to_be_focused()
    expect(tab.locator("#view-memory rect").first).to_be_visible()
    assert "maxpool" in tab.locator("#view-memory").inner_html()


def test_the_served_page_follows_the_file(tab, tmp_path):
    path = tmp_path / "n.cnn"
    path.write_text(TEXT)
    with server(Live(str(path), lambda: cnndsl.parse(path).graph)) as (found, address):
        threading.Thread(target=found.serve_forever, daemon=True).start()
        tab.goto(address)
        tab.wait_for_selector("html[data-ready]", state="attached")
        click(part(tab, "stem: pair"))
        expect(part(tab, "stem: pair")).to_have_attribute("aria-expanded", "false")
        tab.wait_for_timeout(1000)  # the page has to have asked once
        rewrite(path, TEXT.replace("relu }", "gelu }"))
        expect(tab.locator("#source")).to_contain_text("gelu")
        tab.wait_for_selector("html[data-ready]", state="attached")
        expect(part(tab, "stem: pair")).to_have_attribute("aria-expanded", "false")
        rewrite(path, TEXT.replace("relu }", "golu }"))
        expect(tab.get_by_role("alert")).to_contain_text("golu")
        rewrite(path, TEXT)
        expect(tab.get_by_role("alert")).to_be_hidden()
        tab.goto("about:blank")
        found.shutdown()


def rewrite(path, text):
    stamp = path.stat().st_mtime_ns + 1_000_000
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def measured():
    """Times and errors of LeNet-5: C3 takes half of the time and loses most; C1 has two steps."""
    layers = [("C1.unpooled", [1, 6, 28, 28], 0.25, 0.0), ("C1", [1, 6, 28, 28], 0.75, 1e-7),
              ("C3", [1, 16, 10, 10], 2.0, 3e-3), ("F6", [1, 84], 1.0, 2e-4)]  # fmt: skip
    times = {
        "network": "lenet5", "batch": 1, "threads": 1,
        "layers": [
            {"node": n, "op": "conv", "family": "direct", "shape": s, "ms": ms, "bound": "memory"}
            for n, s, ms, _ in layers
        ],
    }  # fmt: skip
    errors = {
        "network": "lenet5", "targets": ["reference", "cpu"], "precision": "int8", "tolerance": 1.0,
        "rows": [
            {"name": n, "op": "conv", "shape": s, "errors": {"cpu": e}, "snr_db": {"cpu": 40.0}}
            for n, s, _, e in layers
        ],
    }  # fmt: skip
    return {"times": times, "errors": errors}


@pytest.fixture
def timed(tab, written):
    """The page of LeNet-5 with what was measured of it."""
    tab.goto(written("lenet5 measured", cnndsl.parse("lenet5").graph, **measured()))
    tab.wait_for_selector("html[data-ready]", state="attached")
    return tab


def test_times_and_losses_of_layers(timed):
    timed.get_by_role("tab", name="Times").click()
    expect(timed.get_by_role("row", name=re.compile("^C3 conv .* 2.000 50.0 %"))).to_be_visible()
    widths = timed.locator("#view-times .bar").evaluate_all("all => all.map(b => b.clientWidth)")
    assert widths == [20, 60, 160, 80]
    timed.get_by_role("tab", name="Quantisation loss").click()
    expect(timed.get_by_role("row", name=re.compile("^C3 conv .* 3.0e-3 40"))).to_be_visible()
    timed.get_by_role("button", name="C3").click()
    expect(timed.get_by_role("treeitem", selected=True)).to_contain_text("conv 5×5, 16")
    expect(timed.get_by_role("region", name="Details")).to_contain_text("3.0e-3")


def test_the_graph_is_painted_by_time_and_by_error(timed):
    timed.get_by_label("Colour").select_option("ms")
    expect(part(timed, "C3: conv 5×5, 16")).to_contain_text("2.00 ms")
    expect(part(timed, "C1: conv 5×5, 6")).to_contain_text("1.00 ms")
    timed.get_by_label("Colour").select_option("error")
    expect(part(timed, "F6: fc 84")).to_contain_text("2.0e-4")
    opacities = timed.locator("rect.cost").evaluate_all(
        "all => all.map(r => r.getAttribute('opacity'))"
    )
    assert max(map(float, opacities)) == 0.5


def test_without_measurements_there_are_no_such_views(shown):
    tab = shown("lenet5")
    expect(tab.get_by_role("tab")).to_have_count(3)
    assert tab.locator("#colour option:not([hidden])").count() == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["Times", "Quantisation loss"])
def test_axe_finds_nothing_in_measurements(timed, axe, theme, name):
    axe_finds_nothing(timed, axe, theme, name)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["Graph", "Passes", "Memory"])
def test_axe_finds_nothing(shown, axe, theme, name):
    axe_finds_nothing(shown("googlenet"), axe, theme, name)


def axe_finds_nothing(tab, axe, theme, name):
    if theme == "dark":
        tab.get_by_role("button", name="Dark").click()
    tab.get_by_role("treeitem").first.click()
    tab.get_by_role("tab", name=name).click()
    tab.evaluate(axe)
    found = tab.evaluate("axe.run()")["violations"]
    assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found] == []
