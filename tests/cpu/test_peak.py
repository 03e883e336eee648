"""The kernels that measure the machine compute what they say; how fast is not asked here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.cpu.tuning import peak
from cnndsl.backends.native.packing import aligned
from cnndsl.runtime.module import Array

LANES, TASKS = 8, 2
UNIT = peak.CHAINS * LANES


def run(function: Any, arrays: list[Array]) -> None:
    peak.library_of(function, find_machine(), TASKS, arrays).run(arrays)


def test_multiply_adds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peak, "ROUNDS", 5)
    sums, factors = aligned(TASKS * UNIT), aligned(2 * LANES)
    sums[:] = np.arange(TASKS * UNIT)
    factors[:LANES], factors[LANES:] = np.linspace(0.5, 1, LANES), np.arange(LANES)
    expected = sums.reshape(-1, LANES).astype(np.float64)
    for _ in range(5):
        expected = expected * factors[:LANES] + factors[LANES:]
    run(peak.multiply_adds(LANES, TASKS), [sums, factors])
    np.testing.assert_allclose(sums.reshape(-1, LANES), expected, rtol=1e-6)


def test_sums_read_every_number():
    numbers, sums = aligned(TASKS * UNIT * 7), aligned(TASKS * UNIT)
    numbers[:] = np.random.default_rng(0).integers(-99, 99, numbers.size)
    run(peak.sums_of(numbers.size, LANES, TASKS), [sums, numbers])
    expected = numbers.reshape(TASKS, 7, UNIT).sum(axis=1).ravel()
    np.testing.assert_array_equal(sums, expected)


def test_the_measurement_needs_no_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peak, "SECONDS", 0.01)
    monkeypatch.setattr(peak, "READ_FLOATS", 1 << 16)
    found = peak.measure_peak(1)
    assert found.flops > 0
    assert found.bandwidth > 0
