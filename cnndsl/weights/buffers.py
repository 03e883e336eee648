"""Raw little-endian bytes as arrays, and arrays by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import Diagnostic

Array = NDArray[Any]

SMALL_FLOATS = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
"""Dtypes that numpy lacks and `ml_dtypes` has."""


class Weights(dict[str, Array]):
    """Arrays by name, and remarks on how they were found."""

    warnings: tuple[Diagnostic, ...] = ()


def item_size(dtype: str) -> int:
    """Bytes of one number."""
    return _dtype(dtype).itemsize


def decode(data: bytes | bytearray, dtype: str, elements: int) -> Array:
    """The numbers [elements] in a buffer; floats of under 32 bits become float32.

    Raises ValueError if the buffer is too short.
    """
    numbers = (
        np.frombuffer(data, _dtype(dtype), elements) if elements else np.empty(0, _dtype(dtype))
    )
    return numbers.astype(np.float32) if dtype in SMALL_FLOATS else widened(numbers)


def widened(array: Array) -> Array:
    """Numbers of float16 as float32, others as they are."""
    return array.astype(np.float32) if array.dtype.kind == "f" and array.itemsize == 2 else array


def _dtype(name: str) -> np.dtype[Any]:
    if name in SMALL_FLOATS:
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return dtype
    return np.dtype(name).newbyteorder("<")
