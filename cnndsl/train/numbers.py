"""All numbers of a network in one array, so that a step of an optimiser is one of few vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cnndsl.runtime.module import Array


class Numbers:
    """The arrays of parameters one behind the other, those that are learned first.

    `buffer` has a zero before them, for packed weights that are padded with it. `all`, `learned`
    and `views`, those of each parameter by name, are parts of it.
    """

    def __init__(self, values: Mapping[str, Array], learned: Sequence[str]):
        self.names = [*learned, *(name for name in values if name not in set(learned))]
        self.shapes = {name: values[name].shape for name in self.names}
        sizes = [values[name].size for name in self.names]
        self.buffer = np.zeros(1 + sum(sizes), np.float32)
        self.all = self.buffer[1:]
        self.views = self.arrays(self.all)
        for name, view in self.views.items():
            view[...] = values[name]
        self.learned = self.all[: sum(sizes[: len(learned)])]
        self._learned = list(learned)
        self._gradients = np.zeros_like(self.learned)

    def arrays(self, numbers: Array) -> dict[str, Array]:
        """The parts of an array like `all` that are those of each parameter."""
        found, end = {}, 0
        for name, shape in self.shapes.items():
            start, end = end, end + math.prod(shape)
            found[name] = numbers[start:end].reshape(shape)
        return found

    def packed(self, gradients: Mapping[str, Array]) -> Array:
        """The gradients by what is learned as one vector, which the next call changes."""
        np.concatenate([gradients[name].ravel() for name in self._learned], out=self._gradients)
        return self._gradients
