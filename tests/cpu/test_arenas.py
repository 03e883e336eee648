"""Memory that calls use one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu.arenas import Arenas
from cnndsl.diagnostics import CnnError


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


def test_room_is_addresses_alone():
    arenas = Arenas(room=3)
    with arenas.lend(10) as first:
        first[:] = 1
    assert arenas.bytes == 40
    with arenas.lend(30) as larger:
        assert np.shares_memory(first, larger)
        assert larger.tolist() == [1.0] * 10 + [0.0] * 20
    assert arenas.bytes == 120
    with arenas.lend(31) as other:
        assert not np.shares_memory(first, other)


def test_where_addresses_are_scarce_there_is_no_room(monkeypatch):
    def scarce(size):
        if size > 100:
            raise CnnError.of("E0711", "not enough memory")
        return np.zeros(size, np.float32)

    monkeypatch.setattr("cnndsl.backends.cpu.arenas.aligned", scarce)
    arenas = Arenas(room=3)
    with arenas.lend(90) as memory:
        assert memory.size == 90
    with pytest.raises(CnnError, match="E0711"), arenas.lend(101):
        pass
