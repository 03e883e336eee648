"""The cpu target on 8-bit codes: those of the reference, bit by bit."""

from __future__ import annotations

import pytest

from cnndsl.ir.operators import Meaning
from tests.cpu.codes import assert_same_codes, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.quantise.test_meaning import QUANTISED, meaning

PICKED = {
    Meaning.LINEAR: 9, Meaning.SUM: 2, Meaning.PRODUCT: 1, Meaning.MEAN: 2, Meaning.MOVE: 5,
    Meaning.MAP: 1, Meaning.TABLE: 1,
}  # fmt: skip
"""Cases of each meaning; tests/extra/codes has all."""


@pytest.mark.parametrize("extension", ["avx2", "scalar"])
def test_codes_are_those_of_the_reference(extension: str) -> None:
    """A selection of the cases, with any zero points, and two samples."""
    of_kind = {kind: [c for c in QUANTISED if meaning(c) is kind] for kind in PICKED}
    cases = [
        case
        for kind, count in PICKED.items()
        for case in of_kind[kind][:: max(1, len(of_kind[kind]) // count)][:count]
    ]
    graph, values, inputs = together(cases, seed=1)
    target = Unoptimised(**vars(machine(extension)))
    module = compiled(graph, values, batch=2, target=target)
    assert_same_codes(module, graph, values, inputs)
