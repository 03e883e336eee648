"""Initialisers: their statistics as published, and what the numbers depend on."""

import math

import numpy as np
import pytest

from cnndsl.ir.expressions import Parameter
from cnndsl.weights.initialise import initialise


def one(init: str, shape: tuple[int, ...], name: str = "x", seed: int = 0) -> np.ndarray:
    (array,) = initialise({name: Parameter(name, shape, init)}, seed).values()
    assert array.dtype == np.float32
    assert array.shape == shape
    return array


@pytest.mark.parametrize(
    ("init", "shape", "fan_in"),
    [
        ("he", (128, 64, 3, 3), 64 * 9),
        ("he", (300, 200), 200),
        ("he_local", (8, 14, 14, 5, 3, 3), 5 * 9),
        ("he_local", (64, 40, 16, 5), 16 * 5),
        ("he_table", (600, 5, 5), 60 / 16 * 25),
        ("he_local_table", (600, 7, 6, 3, 5), 60 / 16 * 15),
        ("he_local_table", (600, 7, 3), 60 / 16 * 3),
    ],
)
def test_he_is_normal_with_variance_two_over_fan_in(init, shape, fan_in):
    numbers = one(init, shape).astype(np.float64)
    sigma = math.sqrt(2 / fan_in)
    error = 5 / math.sqrt(numbers.size)
    assert abs(numbers.mean()) < sigma * error
    assert abs(numbers.std() / sigma - 1) < error
    within = np.mean(np.abs(numbers) < sigma)
    assert abs(within - math.erf(math.sqrt(0.5))) < error


@pytest.mark.parametrize("shape", [(300, 200), (50, 30, 3, 3)])
def test_xavier_is_uniform(shape):
    numbers = one("xavier", shape).astype(np.float64)
    limit = math.sqrt(6 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    counts, _ = np.histogram(numbers, bins=10, range=(-limit, limit))
    assert counts.sum() == numbers.size
    assert np.abs(counts / numbers.size - 0.1).max() < 5 * math.sqrt(0.09 / numbers.size)


def test_constants():
    assert (one("zeros", (3,)) == 0).all()
    assert (one("ones", (3,)) == 1).all()
    assert (one("prelu", (3,)) == 0.25).all()


def test_signs():
    numbers = one("signs", (84, 10))
    assert set(np.unique(numbers)) == {-1, 1}
    assert abs(numbers.mean()) < 5 / math.sqrt(numbers.size)


def test_numbers_depend_on_seed_and_name_alone():
    both = {name: Parameter(name, (4, 5), "he") for name in "ab"}
    first = initialise(both, 3)
    again = initialise(dict(reversed(both.items())), 3)
    assert all(np.array_equal(first[name], again[name]) for name in "ab")
    assert np.array_equal(first["b"], one("he", (4, 5), "b", 3))
    assert not np.array_equal(first["a"], first["b"])
    assert not np.array_equal(first["a"], one("he", (4, 5), "a", 4))
    assert np.isfinite(one("he", (4, 5), "a", -1)).all()


def test_empty_fan_in():
    assert one("he", (3, 0)).size == 0
