"""Joins of several operands."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    BESIDE,
    Add,
    Average,
    Concat,
    ConcatPositions,
    Divide,
    Max,
    Min,
    Mul,
    Subtract,
)
from cnndsl.runtime.module import Array


def _elementwise(function: Callable[[Array, Array], Array]) -> Kernel:
    def kernel(op: Operator, inputs: list[Array], params: dict[str, Array]) -> Array:
        rank = max(x.ndim for x in inputs)
        return reduce(function, (x.reshape(*x.shape, *(1,) * (rank - x.ndim)) for x in inputs))

    return kernel


def average(op: Average, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The sum over the number of operands."""
    return _elementwise(np.add)(op, inputs, params) / len(inputs)


def beside(op: ConcatPositions, inputs: list[Array], params: dict[str, Array]) -> Array:
    """The operands one after another on a spatial axis."""
    return np.concatenate(inputs, 2 + op.axis(inputs[0].ndim - 2))


KERNELS: dict[type[Operator], Kernel] = {
    Add: _elementwise(np.add),
    Subtract: _elementwise(np.subtract),
    Mul: _elementwise(np.multiply),
    Divide: _elementwise(np.divide),
    Max: _elementwise(np.maximum),
    Min: _elementwise(np.minimum),
    Average: average,
    **dict.fromkeys(BESIDE, beside),
    Concat: lambda op, inputs, params: np.concatenate(inputs, axis=1),
}
