"""Fully connected layers and radial basis functions on flattened samples."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.numpy.kernels.types import Kernel, sums
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Flatten, FullyConnected, RadialBasis
from cnndsl.runtime.module import Array


def flatten(op: Operator, inputs: list[Array], params: dict[str, Array]) -> Array:
    """[batch, channels * spatial]."""
    (x,) = inputs
    return x.reshape(len(x), int(np.prod(x.shape[1:])))


def fully_connected(op: FullyConnected, inputs: list[Array], params: dict[str, Array]) -> Array:
    """W x + b."""
    result = flatten(op, inputs, params) @ params["weight"].T
    return result + params["bias"] if "bias" in params else result


def radial_basis(op: RadialBasis, inputs: list[Array], params: dict[str, Array]) -> Array:
    """Squared distances from the centres."""
    x = flatten(op, inputs, params)
    distances = [sums(np.square(x - centre), 1) for centre in params["centres"]]
    return np.stack(distances, axis=1)


KERNELS: dict[type[Operator], Kernel] = {
    Flatten: flatten,
    FullyConnected: fully_connected,
    RadialBasis: radial_basis,
}
