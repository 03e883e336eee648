"""Memory that calls use one after the other."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.cpu.arenas import Arenas


def test_a_smaller_call_gets_the_memory_of_a_larger_one():
    arenas = Arenas()
    with arenas.lend(1000) as first:
        assert first.size == 1000
        assert arenas.bytes == 0
    with arenas.lend(10) as second:
        assert second.size == 10
        assert np.shares_memory(first, second)
    assert arenas.bytes == 4000


def test_what_is_too_small_is_given_back():
    arenas = Arenas()
    with arenas.lend(10):
        pass
    with arenas.lend(1000) as larger:
        larger[:] = 1
    assert arenas.bytes == 4000


def test_calls_at_a_time_have_memory_of_their_own():
    arenas = Arenas()
    with arenas.lend(10) as first, arenas.lend(10) as second:
        assert not np.shares_memory(first, second)
    assert arenas.bytes == 80
    arenas.clear()
    assert arenas.bytes == 0
