"""A comparison relative to the largest value."""

from __future__ import annotations

import numpy as np

from cnndsl.runtime.module import Array


def assert_close(actual: Array, expected: Array, tolerance: float) -> None:
    """Equal shapes, and differences within the tolerance relative to the largest value."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()
