"""The matrices of Winograd's algorithms against convolution by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnndsl.backends.cpu.kernels.winograd.cost import SIZES, quotients
from cnndsl.backends.cpu.kernels.winograd.transforms import transform

CASES = [(m, r) for r, sizes in SIZES.items() for m in sizes]


@pytest.mark.parametrize(("m", "r"), CASES)
def test_the_products_of_a_tile_give_a_convolution(m: int, r: int):
    matrices = transform(m, r)
    rng = np.random.default_rng(m * r)
    inputs, weights = rng.normal(size=matrices.size), rng.normal(size=r)
    points = (np.array(matrices.weight) @ weights) * (np.array(matrices.input) @ inputs)
    expected = np.correlate(inputs, weights, "valid")
    np.testing.assert_allclose(np.array(matrices.output) @ points, expected, atol=1e-13)


def test_the_matrices_of_f_4_3_are_those_of_the_paper():
    """Lavin and Gray (2016), section 4.3, up to the sign of rows."""
    published = [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
    assert {tuple(np.abs(row)) for row in transform(4, 3).input} == {
        tuple(np.abs(row)) for row in published
    }


def test_sizes_of_even_parts():
    for total in range(1, 200):
        assert quotients(total) == {math.ceil(total / parts) for parts in range(1, total + 1)}
