"""The page of the target wasm, from a static file server."""

import re
import threading
from contextlib import contextmanager
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


OUTER = """
import { load } from "./small.js";
const network = await load("small.weights");
const [scores] = await network.run(new Float32Array(3 * 224 * 224).fill(0.5));
postMessage([network.threads, scores.join()]);
"""
"""What a page has computed in a worker of its own."""
RUN = """async (options) => {
  const { load } = await import("./small.js");
  globalThis.network = await load(undefined, options);
  const [scores] = await network.run(new Float32Array(3 * 224 * 224).fill(0.5));
  return [network.threads, scores.join()];
}"""


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Isolated(Silent):
    """What pages need whose threads share memory."""

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@pytest.fixture(scope="module")
def weights():
    """Such that the classes of photos differ by more than the rounding of what is shown."""
    net = cnndsl.parse(TEXT)
    random = np.random.default_rng(3)
    parameters = cnndsl.compile(net, "reference", seed=0).graph.parameters()
    return {n: random.normal(0, 0.5, p.shape).astype(np.float32) for n, p in parameters.items()}


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wasm") / "page"
    cnndsl.compile(TEXT, "wasm", weights=weights).save(folder)
    (folder / "outer.js").write_text(OUTER)
    return folder


@contextmanager
def served(folder, handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.fixture(scope="module", params=[Silent, Isolated])
def address(folder, request):
    with served(folder, request.param) as found:
        yield found


@pytest.fixture(scope="module")
def isolated(folder):
    with served(folder, Isolated) as found:
        yield found


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
    cores = page.evaluate("crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1")
    threads = f"{cores} thread{'s' * (cores > 1)}"
    text = re.compile(rf"^{path.name}: [\d.]+ ms on {threads}$")
    expect(page.get_by_role("status")).to_have_text(text)
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
    while not choosers:  # A key before playwright listens opens a dialogue that it does not see.
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
    choosers[0].set_files(path)
    assert len(shown(page, path)) == 5


def test_what_is_no_photo_is_said(page, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no photo")
    page.set_input_files("#file", path)
    expect(page.get_by_role("status")).to_have_text(
        "notes.txt is no photo that this browser reads."
    )


def test_threads_compute_what_one_does_where_the_page_is_isolated(tab, folder):
    results = []
    for handler, isolated in ((Silent, False), (Isolated, True)):
        with served(folder, handler) as address:
            tab.goto(address)
            assert tab.evaluate("crossOriginIsolated") == isolated
            for threads in (1, 2, 3):
                found, scores = tab.evaluate(RUN, {"threads": threads})
                assert found == (threads if isolated else 1)
                results.append(scores)
    assert len(set(results)) == 1


def test_a_page_may_compute_in_a_worker(page):
    outer = """() => new Promise((resolve) => {
      const worker = new Worker("./outer.js", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
    })"""
    assert page.evaluate(outer) == page.evaluate(RUN, {})


def test_a_thread_that_ends_is_an_error(tab, isolated):
    tab.goto(isolated)
    tab.evaluate(RUN, {"threads": 3})
    own = [w for w in tab.workers if w.url.endswith("small.worker.js")]
    own[-1].evaluate("self.close()")
    again = "network.run(new Float32Array(3 * 224 * 224)).then(() => '', (e) => e.message)"
    tab.wait_for_function(f"async () => await {again} === 'a thread has ended'")
    expect(tab.get_by_role("status")).to_have_text("Ready.")


def test_threads_are_given_back(tab, isolated):
    tab.goto(isolated)
    expect(tab.get_by_role("status")).to_have_text("Ready.")
    before = len(tab.workers)
    tab.evaluate(RUN, {"threads": 4})
    assert len(tab.workers) == before + 4
    tab.evaluate("network.dispose()")
    for _ in range(100):
        if len(tab.workers) == before:
            break
        tab.wait_for_timeout(50)
    assert len(tab.workers) == before
