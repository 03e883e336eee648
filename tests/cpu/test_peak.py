"""The kernels that measure the machine compute what they say; how fast is not asked here."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu.codegen.toolchain import assembly
from cnndsl.backends.cpu.kernels.codes.words import Products
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.cpu.tuning import peak
from cnndsl.backends.cpu.tuning.products import tile_products, word_products, words_of
from cnndsl.backends.native.packing import aligned
from cnndsl.runtime.module import Array
from tests.cpu.test_generated_code import loops_of

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


def test_products_of_words_of_codes(monkeypatch: pytest.MonkeyPatch):
    """Those of pairs of 16 bits: sums are the words, and wrap around."""
    monkeypatch.setattr(peak, "ROUNDS", 3)
    words = Products("pairs", LANES, (0, 2, 1, 3), 2)
    rng = np.random.default_rng(0)
    sums, factors = aligned(TASKS * UNIT), aligned(LANES)
    sums.view(np.int32)[:] = rng.integers(-(2**31), 2**31, sums.size)
    weights = factors.view(np.int8)
    weights[:] = rng.integers(-127, 128, weights.size)
    expected = sums.view(np.int32).reshape(-1, LANES).copy()
    pairs = weights[: 2 * LANES].reshape(LANES, 2).astype(np.int64)
    for _ in range(3):
        halves = expected.view(np.int16).reshape(-1, LANES, 2).astype(np.int64)
        expected = (expected + (halves * pairs).sum(axis=2)).astype(np.int32)
    run(word_products(words, peak.KERNEL, peak.CHAINS, peak.ROUNDS, TASKS), [sums, factors])
    np.testing.assert_array_equal(sums.view(np.int32).reshape(-1, LANES), expected)


@pytest.mark.parametrize(
    ("cpu", "instruction"),
    [("cascadelake", "vpdpbusd"), ("cooperlake", "vdpbf16ps"), ("x86-64-v3", "vpmaddwd")],
)
def test_products_are_in_registers(cpu: str, instruction: str):
    """One after another in the loop, which neither reads nor writes memory."""
    machine = find_machine(cpu)
    words = words_of(machine, "bfloat16" if "bf16" in instruction else "int8")
    assert words
    function = word_products(words, peak.KERNEL, peak.CHAINS, 1 << 20, 1)
    (body,) = [loop for loop in loops_of(assembly([function], machine)) if instruction in loop]
    assert body.count(instruction) % peak.CHAINS == 0
    assert "(%r" not in body


def test_products_of_tiles():
    function = tile_products("int8", peak.KERNEL, 1 << 20, 1)
    code = assembly([function], find_machine("sapphirerapids"))
    (body,) = [loop for loop in loops_of(code) if "tdpbusd" in loop]
    assert set(re.findall(r"%tmm\d$", body, re.M)) == {f"%tmm{tile}" for tile in range(4)}
    assert "tileload" not in body
    assert code.count("tilerelease") == 1


def test_the_measurement_needs_no_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peak, "SECONDS", 0.01)
    monkeypatch.setattr(peak, "READ_FLOATS", 1 << 16)
    found = peak.measure_peak(1, ["int8", "bfloat16"])
    assert found.flops > 0
    assert found.bandwidth > 0
    assert min(found.operations("int8"), found.operations("bfloat16")) > 0
    assert found.operations("float32") == found.flops
