"""Tensors beyond 32 bits of index are refused, never computed in part."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.diagnostics import CnnError


@pytest.mark.parametrize(
    "layer",
    [
        "conv_transpose(4, 3, dilation=30000)",
        "conv_transpose(4, 3, stride=7000)",
        "upsample(6000) -> relu",
        "pad(30000) -> relu",
    ],
)
def test_more_numbers_than_kernels_address_are_refused(layer: str):
    network = f"network t {{\n input x [3, 8, 8]\n {layer}\n}}"
    with pytest.raises(CnnError, match="is more than kernels can address"):
        cnndsl.compile(network, "cpu", seed=0)
