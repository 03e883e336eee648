"""Every network of the zoo at its full size: valid plans close to the lower bound."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.language.loader import load_unit
from cnndsl.language.sources import read_source
from cnndsl.language.units import is_concrete
from cnndsl.memory import plan, validate
from cnndsl.passes.pipeline import optimise

UNITS = {file: load_unit(read_source(file)) for file in dict.fromkeys(cnndsl.zoo().values())}
CONCRETE = {
    item.name.text for unit in UNITS.values() for item in unit.own_networks() if is_concrete(item)
}


@pytest.mark.parametrize("name", [name for name in cnndsl.zoo() if name in CONCRETE])
def test_arena_is_close_to_the_lower_bound(name: str) -> None:
    """And no concat copies a byte."""
    network = cnndsl.parse(name)
    for level in (0, 2):
        graph, _ = optimise(network.graph, level)
        found = plan(graph)
        validate(graph, found)
        assert found.arena_bytes <= 1.05 * found.lower_bound_bytes
        assert found.concat_copy_bytes == 0
