"""Other numbers in packed weights, in place: what a step of training has changed.

Most packed weights are the numbers of parameters in another order, with zeros between. Which ones
is found once, by packing the numbers 1, 2, 3 and so on, and checked with others; the rest, such as
transformed kernels, is computed anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cnndsl.backends.native.packing import Packing
from cnndsl.ir.expressions import parameters_of
from cnndsl.ir.types import FLOAT32
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import Evaluator


class Refill:
    """Writes the numbers of parameters into a block of packed weights.

    `numbers` holds a zero and then all parameters one after another, in float32, of which `views`
    are those of each. Parameters of other programs can be among them.
    """

    def __init__(self, packing: Packing, block: Array, numbers: Array, views: Mapping[str, Array]):
        self._packing, self._block, self._numbers, self._views = packing, block, numbers, views
        self._gathers: list[tuple[Array, Array]] = []
        self._others: list[tuple[str, Array]] = []
        probes = [self._probe(np.arange(len(numbers), dtype=np.float64))]
        random = np.random.default_rng(0).permutation(len(numbers)).astype(np.float64) + 1
        random[0] = 0
        probes.append(self._probe(random))
        for name, (weight, offset) in packing.entries.items():
            if not any(parameters_of(weight.expression)):
                continue
            own = block[offset : offset + weight.size].view(weight.dtype.name)
            target = own[: math.prod(weight.expression.shape)]
            first, second = (probe(weight.expression).ravel() for probe in probes)
            is_gathered = weight.dtype == FLOAT32 and _are_places(first, len(numbers))
            places = first.astype(np.int64) if is_gathered else None
            if places is not None and np.array_equal(random[places], second):
                self._gathers.append((target, places))
            else:
                self._others.append((name, target))

    def _probe(self, values: Array) -> Evaluator:
        starts = {
            name: (view.ctypes.data - self._numbers.ctypes.data) // FLOAT32.bytes
            for name, view in self._views.items()
        }
        return Evaluator(
            {
                name: values[starts[name] : starts[name] + view.size].reshape(view.shape)
                for name, view in self._views.items()
            }
        )

    def __call__(self) -> None:
        """Write them all. Not while the program runs."""
        for target, places in self._gathers:
            np.take(self._numbers, places, out=target, mode="clip")
        if self._others:
            evaluated = Evaluator(self._views)
            for name, target in self._others:
                weight, _ = self._packing.entries[name]
                target[:] = evaluated(weight.expression, weight.dtype.name).ravel()


def _are_places(found: Array, count: int) -> bool:
    """Whether numbers are whole, and those of places."""
    return bool((found == np.floor(found)).all() and (found >= 0).all() and (found < count).all())
