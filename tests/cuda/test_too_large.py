"""More positions than 32 bits count are refused before any kernel is made."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.diagnostics import CnnError


@pytest.mark.parametrize(("layer", "batch"), [("relu", 40_000_000), ("upsample(6000) -> relu", 1)])
def test_more_positions_than_kernels_count_are_refused(layer: str, batch: int):
    network = f"network t {{\n input x [1, 8, 8]\n {layer}\n}}"
    with pytest.raises(CnnError, match=r"E0711.*positions in all samples"):
        cnndsl.compile(network, "cuda", batch=batch)
