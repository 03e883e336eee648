"""Outputs that are distances: their least is the best, whatever keeps or turns the order."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.analysis.ranking import smaller_is_better


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("rbf(5)", True),
        ("rbf(5) -> dropout -> softmax", True),
        ("rbf(5) -> log_softmax", True),
        ("rbf(5) -> scale(-1) -> softmax", False),
        ("rbf(5) -> scale(-1) -> scale(-0.5, 3)", True),
        ("rbf(5) -> fc(5)", False),
        ("rbf(5) -> relu -> fc(5)", False),
        ("fc(5) -> softmax", False),
        ("rbf(5) -> scale([1, 2, 1, 1, 1])", False),
    ],
)
def test_distances_are_recognised(ends: str, expected: bool) -> None:
    graph = cnndsl.parse(
        f"network net {{ input x [4]\n output y = {ends}\n output z = fc(2) }}"
    ).graph
    assert smaller_is_better(graph) == (["y"] if expected else [])
