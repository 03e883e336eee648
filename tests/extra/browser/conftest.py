"""A real Chromium. Debian: chromium; CHROMIUM names another one."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

import cnndsl
from cnndsl.page.data import page_data
from cnndsl.page.html import page as page_of

AXE = Path(__file__).parents[3] / "build/browser/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def chromium():
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The address of the file of a graph, written once."""
    folder, known = tmp_path_factory.mktemp("pages"), {}

    def write(spec, graph=None, **measured):
        if spec not in known:
            graph = graph or cnndsl.parse(spec).graph
            known[spec] = folder / f"{spec.rpartition('/')[2]}.html"
            known[spec].write_bytes(page_of(page_data(graph, **measured)))
        return known[spec].as_uri()

    return write


@pytest.fixture
def tab(chromium):
    """An empty tab; what it says on the console or asks of others fails the test."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    found, wrong = context.new_page(), []
    own = ("file:", "data:", "blob:", "http://127.0.0.1:")
    found.on("console", lambda message: wrong.append(message.text))
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("request", lambda r: None if r.url.startswith(own) else wrong.append(r.url))
    yield found
    context.close()
    assert wrong == []


@pytest.fixture
def shown(tab, written):
    """Opens the page of a network and waits until it is drawn."""

    def show(spec, graph=None):
        tab.goto(written(spec, graph))
        return ready(tab)

    return show


def ready(tab):
    tab.wait_for_selector("html[data-ready]", state="attached")
    return tab


@pytest.fixture(scope="session")
def axe():
    return AXE.read_text()
