"""Memory of large results, used again as soon as nobody holds the arrays in it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cnndsl.backends.native.packing import FLOAT, HUGE_PAGE, aligned
from cnndsl.runtime.module import Array

LARGE = HUGE_PAGE
"""Bytes from which memory is kept."""


class Loans:
    """Arrays for results by name; of each the memory that came back last is kept.

    The system fills new pages with zeros, which takes about as long as a kernel takes to write
    them. Small arrays come from numpy. Several threads may ask at a time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Array] = {}

    @property
    def bytes(self) -> int:
        """What is kept at the moment."""
        return sum(memory.nbytes for memory in list(self._kept.values()))

    def arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Arrays of any content. Raises CnnError (E0711) if there is no memory."""
        return {name: self._array(name, shape) for name, shape in shapes.items()}

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        if FLOAT * size < LARGE:
            return np.empty(shape, np.float32)
        memory = self._kept.pop(name, None)
        if memory is None or memory.size != size:
            memory = aligned(size)
        return np.asarray(_Loan(memory.reshape(shape), self._kept, name))


class _Loan:
    """What an array refers to as long as anybody refers to the array."""

    def __init__(self, memory: Array, kept: dict[str, Array], name: str):
        self.__array_interface__ = memory.__array_interface__
        self._memory, self._kept, self._name = memory, kept, name

    def __del__(self) -> None:
        self._kept[self._name] = self._memory.reshape(-1)
