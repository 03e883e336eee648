"""Every network of the zoo against the published facts: parameters, MACs, stage sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cnndsl
from cnndsl.analysis.report import report

DATA = Path(__file__).parents[1] / "data" / "networks.json"
FACTS: dict[str, dict[str, Any]] = {
    entry["name"]: entry for entry in json.loads(DATA.read_text())["networks"]
}
ALIASES = Path(str(cnndsl.__file__)).parents[1] / "networks" / "facts.json"
ZOO_NAMES = {fact: name for name, fact in json.loads(ALIASES.read_text())["names"].items()}


def stage_name(published: str) -> str:
    """The facts decorate some names: `fc6(conv6x6)`, `middle x8`."""
    return published.split("(")[0].split(" x")[0]


def test_every_entry_of_the_facts_is_in_the_zoo() -> None:
    assert len(FACTS) == 87
    assert set(ZOO_NAMES) == set(FACTS)


@pytest.mark.parametrize("fact", FACTS)
def test_network_equals_its_published_facts(fact: str) -> None:
    published = FACTS[fact]
    found = report(cnndsl.parse(ZOO_NAMES[fact]))
    assert found["params"] == published["params_total"]
    if "macs_conv_fc" in published:
        assert found["macs"] == published["macs_conv_fc"]
    stages = {stage_name(name): sizes for name, *sizes in published["stages"]}
    found_stages = {name: sizes for name, *sizes in found["stages"] if name in stages}
    assert found_stages == stages
    assert [list(port["shape"]) for port in found["inputs"]] == [published["input_shape"]]


def test_mobilenet_v2_has_the_published_size() -> None:
    """3.4 M parameters, 300 M multiply-adds: Sandler et al. 2018, table 4; exact: torchvision."""
    found = report(cnndsl.parse("mobilenet_v2"))
    assert found["params"] == 3_504_872
    assert round(found["macs"], -6) == 301_000_000


@pytest.mark.parametrize("fact", [name for name, entry in FACTS.items() if entry.get("param_rows")])
def test_rows_of_parameters(fact: str) -> None:
    """Weights and biases of each stage, where the facts list them."""
    network = cnndsl.parse(ZOO_NAMES[fact])
    for published, weights, biases in FACTS[fact]["param_rows"]:
        stage = stage_name(published)
        shapes = {
            name: parameter.shape
            for name, parameter in network.graph.parameters().items()
            if name.startswith(f"{stage}.") and parameter.learned
        }
        sizes = {name: _product(shape) for name, shape in shapes.items()}
        assert sum(n for name, n in sizes.items() if name.endswith(".weight")) == weights
        assert sum(n for name, n in sizes.items() if name.endswith(".bias")) == biases


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result
