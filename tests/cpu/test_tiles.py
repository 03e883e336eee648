"""The numbers from which register tiles are chosen."""

from __future__ import annotations

import pytest

from cnndsl.backends.cpu.kernels.tiles import largest_divisor


@pytest.mark.parametrize("limit", [0.5, 1, 3, 7.9, 100])
def test_the_largest_divisor_is_that_of_all_numbers(limit: float) -> None:
    for number in range(1, 200):
        divisors = [d for d in range(1, number + 1) if number % d == 0 and (d <= limit or d == 1)]
        assert largest_divisor(number, limit) == max(divisors)


def test_large_numbers_need_no_search_of_all_below() -> None:
    assert largest_divisor(10**12, 5e5) == 500_000
