"""Ranges by what outputs lose: outliers that are clamped later cost nothing."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from cnndsl.quantise.collect import Settings
from cnndsl.runtime.module import Array

TEXT = """network n {
    input x [4, 12, 12]
    first: conv(8, 1) -> pool: maxpool(2) -> conv(8, 1) -> clamp(-2, 2) -> conv(6, 3) -> softmax
}"""


def images(seed: int) -> Array:
    """One number of a hundred is 60 times as large as all others."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, 4, 12, 12))
    return (x * np.where(rng.uniform(size=x.shape) < 0.01, 60, 1)).astype(np.float32)


@pytest.mark.parametrize("symmetric", [False, True])
def test_outliers_that_are_clamped_later(symmetric: bool) -> None:
    """They are clipped, and samples that were not calibrated with lose less."""
    network = cnndsl.parse(TEXT)
    exact = np.asarray(cnndsl.compile(network, "reference", seed=0)(images(9)))
    scales, errors = [], []
    for method in ("mse", "outputs"):
        settings = Settings(method, equalised=False, symmetric=symmetric)
        found = cnndsl.calibrate(network, [{"x": images(1)}], seed=0, settings=settings)
        module = cnndsl.compile(network, "reference", seed=0, precision="int8", calibration=found)
        codes = {name: row.quantisation for name, row in found.tensors.items()}
        assert not symmetric or {q.zero for q in codes.values()} == {128}
        scales.append(codes["first"].scale)
        errors.append(float(np.square(np.asarray(module(images(9))) - exact).sum()))
    assert codes["first"] == codes["pool.maxpool1"]
    assert scales[1] < 0.6 * scales[0]
    assert errors[1] < 0.5 * errors[0]
