"""Every network of the zoo at its full size: valid plans close to the lower bound."""

from __future__ import annotations

from functools import lru_cache

import pytest

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.language.loader import load_unit
from cnndsl.language.sources import read_source
from cnndsl.language.units import is_concrete
from cnndsl.memory import plan, validate
from cnndsl.passes.pipeline import optimise
from tests.marks import whole

UNITS = [load_unit(read_source(file)) for file in dict.fromkeys(cnndsl.zoo().values())]
FILES = [[item.name.text for item in unit.own_networks() if is_concrete(item)] for unit in UNITS]
CASES = [
    *((names[0], level) for names in FILES for level in (2, 0)),
    *(whole(name, 2) for names in FILES for name in names[1:]),
]
"""One network of each file as it is compiled and as it is written, the others compiled."""

PASSED_ON = "shufflenet_v2"
"""Half of the channels goes by each of its units, from one concat to the next."""


@lru_cache(maxsize=2)
def graph_of(name: str) -> Graph:
    """The network as it is written, for the levels that follow one another."""
    return cnndsl.parse(name).graph


@pytest.mark.parametrize(("name", "level"), CASES)
def test_arena_is_close_to_the_lower_bound(name: str, level: int) -> None:
    """And no concat copies a byte, but of what passes from one to the next."""
    graph, _ = optimise(graph_of(name), level)
    found = plan(graph)
    validate(graph, found)
    assert found.arena_bytes <= 1.05 * found.lower_bound_bytes
    assert (found.concat_copy_bytes > 0) == name.startswith(PASSED_ON)
