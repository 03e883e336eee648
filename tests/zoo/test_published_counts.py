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
