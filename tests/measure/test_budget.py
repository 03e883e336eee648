"""Budgets: how they are written, and what a network takes of them."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.measure.budget import Budget, spent


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("arena=2MB", 2_000_000),
        ("arena=2 MiB", 2 << 20),
        ("weights=512KiB", 512 << 10),
        ("weights=512KB", 512_000),
        ("weights=512kB", 512_000),
        ("weights=10", 10),
        ("params=2.5M", 2_500_000),
        ("macs=1G", 10**9),
    ],
)
def test_limits(text: str, limit: int) -> None:
    assert Budget.parse(text) == Budget(text.partition("=")[0], limit)


@pytest.mark.parametrize(
    "text",
    ["", "arena", "arena=", "arena=-1", "arena=2MBs", "params=1MB", "memory=1MB", "macs=1e9"],
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Budget.parse(text)


def test_what_a_network_takes() -> None:
    """Counted by hand: a convolution 3 to 8 of 3x3 with bias, and a layer of 10."""
    network = cnndsl.parse("network n { input x [3, 8, 8]\n conv(8, 3) -> relu -> fc(10) }")
    params = 3 * 8 * 9 + 8 + 8 * 64 * 10 + 10
    macs = 3 * 8 * 9 * 64 + 8 * 64 * 10
    asked = [Budget(name, params) for name in ("params", "macs", "weights", "arena")]
    found = {row.budget.quantity: row for row in spent(network.graph, asked)}
    assert found["params"].amount == params
    assert found["params"].is_kept
    assert found["macs"].amount == macs
    assert not found["macs"].is_kept
    assert found["weights"].amount == 4 * params
    assert found["arena"].amount >= 4 * 8 * 64


def test_open_sizes_have_no_memory() -> None:
    network = cnndsl.parse("network n { input x [3, H, W]\n conv(8, 3) }")
    assert spent(network.graph, [Budget("params", 1)])[0].amount == 224
    with pytest.raises(cnndsl.CnnError, match="E0611"):
        spent(network.graph, [Budget("arena", 1)])
