"""Tiles of an axis against a count of the outputs that they have."""

from __future__ import annotations

import itertools

import pytest

from cnndsl.backends.cpu.kernels.winograd.axis import Axis


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3, 12])
def test_each_output_is_in_one_tile(m: int, dilation: int):
    axis = Axis(m, dilation)
    for n in range(1, 3 * m * dilation):
        tiles = [[axis.output(tile, index) for index in range(m)] for tile in range(axis.count(n))]
        found = sorted(output for tile in tiles for output in tile)
        assert found[:n] == list(range(n))
        assert max(found) == n - 1 + axis.beyond(n)
        assert max(map(min, tiles)) < n
        assert all(b - a == dilation for tile in tiles for a, b in itertools.pairwise(tile))
        for number, tile in enumerate(tiles):
            assert [bool(axis.has(n, number, index)) for index in range(m)] == [o < n for o in tile]


def test_windows_of_a_tile():
    axis = Axis(4, 1)
    assert [axis.output(3, index, 2) for index in (0, 2)] == [6, 7]
