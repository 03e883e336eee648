"""Large networks open within 2 s and unfold within 0.2 s on a quiet machine.

The times are printed (`pytest -s`); what is checked is that no more is laid out than is unfolded.
"""

import time

import pytest
from playwright.sync_api import expect

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


def measured(tab, address, name):
    seconds = opened(tab, address)
    assert 0 < tab.get_by_role("treeitem").count() <= MOST_SHOWN
    print(f"{name}: opens in {seconds:.2f} s, unfolds in {unfolded(tab):.0f} ms")
