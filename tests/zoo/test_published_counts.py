"""Parameters of newer networks, as published; `tests/data/parameters.json` names the sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnndsl

DATA = Path(__file__).parents[1] / "data" / "parameters.json"
COUNTS = [
    pytest.param(name, count, id=name)
    for source in json.loads(DATA.read_text("utf-8"))["sources"]
    for name, count in source["parameters"].items()
]


@pytest.mark.parametrize(("name", "count"), COUNTS)
def test_parameters_are_those_published(name: str, count: int) -> None:
    assert cnndsl.parse(name).params == count


@pytest.mark.parametrize(
    ("multiplier", "count"), [(0.35, 1_677_128), (0.5, 1_968_680), (1.4, 6_108_776)]
)
def test_widths_of_mobilenet_v2(multiplier: float, count: int) -> None:
    """As torchvision's `mobilenet_v2(width_mult=…)` has them."""
    settings = {"multiplier": multiplier, "activation": "relu"}
    net = cnndsl.parse("mobilenet_v2", settings=settings)
    assert net.params == count
    assert not any(node.op.name == "relu6" for node in net.graph.nodes())


def test_what_is_pooled_can_come_last_in_shufflenet() -> None:
    units = []
    for last in (False, True):
        graph = cnndsl.parse("shufflenet_v1_g3_1x", settings={"pooled_last": last}).graph
        joins = [node for node in graph.nodes() if node.op.name == "concat"]
        units.append([[each.op.name for each in graph.producers(join)] for join in joins])
    assert units == [3 * [["avgpool", "bn"]], 3 * [["bn", "avgpool"]]]
