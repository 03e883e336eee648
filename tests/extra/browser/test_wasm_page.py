"""The page of the target wasm, from a static file server."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import cnndsl
from cnndsl.runtime.image import load_image

TEXT = """
network small {
    input image [3, 224, 224]
    conv(8, 3, stride=4) -> relu -> conv(16, 3, stride=2) -> relu
    global_avgpool -> fc(9) -> softmax
}
"""
COVER = 256
"""Pixels of a photo that is cropped and not scaled, so that all see the same ones."""


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def weights():
    """Such that the classes of photos differ by more than the rounding of what is shown."""
    net = cnndsl.parse(TEXT)
    random = np.random.default_rng(3)
    parameters = cnndsl.compile(net, "reference", seed=0).graph.parameters()
    return {n: random.normal(0, 0.5, p.shape).astype(np.float32) for n, p in parameters.items()}


@pytest.fixture(scope="module")
def address(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wasm") / "page"
    cnndsl.compile(TEXT, "wasm", weights=weights).save(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.fixture
def page(tab, address):
    tab.goto(address)
    expect(tab.get_by_role("status")).to_have_text("Ready.")
    return tab


@pytest.fixture
def photo(tmp_path):
    def make(seed):
        small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
        path = tmp_path / f"photo{seed}.png"
        Image.fromarray(small).resize((COVER, COVER), Image.Resampling.NEAREST).save(path)
        return path

    return make


def shown(page, path):
    """The rows of the table for a photo."""
    expect(page.get_by_role("status")).to_have_text(re.compile(rf"^{path.name}: [\d.]+ ms$"))
    return [row.split("\t") for row in page.locator("#classes").inner_text().splitlines()]


def test_the_page_sees_what_the_reference_does(page, photo, weights):
    module = cnndsl.compile(TEXT, "reference", weights=weights)
    for seed in range(3):
        path = photo(seed)
        page.set_input_files("#file", path)
        scores = module(load_image(path, module.inputs[0].type))[0]
        best = sorted(range(9), key=lambda index: -scores[index])[:5]
        found = shown(page, path)
        assert [name for _, name in found] == [f"class {index}" for index in best]
        numbers = [float(number) for number, _ in found]
        np.testing.assert_allclose(numbers, scores[best], rtol=0, atol=0.0006)


def test_a_photo_is_chosen_by_the_keyboard(page, photo):
    expect(page.locator("#file")).to_be_focused()
    choosers, path = [], photo(1)
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.keyboard.press("Enter")
    while not choosers:
        page.wait_for_timeout(50)
    choosers[0].set_files(path)
    assert len(shown(page, path)) == 5


def test_what_is_no_photo_is_said(page, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no photo")
    page.set_input_files("#file", path)
    expect(page.get_by_role("status")).to_have_text(
        "notes.txt is no photo that this browser reads."
    )
