"""Seeded starting values of parameters."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter

Array = NDArray[Any]
Shape = tuple[int, ...]


def initialise(parameters: Mapping[str, Parameter], seed: int) -> dict[str, Array]:
    """Float32 arrays by name. Each depends on the seed, its name and its shape alone.

    Raises CnnError (E0416) if they do not fit into memory.
    """
    size = sum(4 * math.prod(parameter.shape) for parameter in parameters.values())
    if size > _memory():
        raise _too_large(size)

    def initial(name: str, parameter: Parameter) -> Array:
        return INITIALISERS[parameter.init](parameter.shape, _generator(name, seed))

    try:
        with ThreadPoolExecutor() as pool:
            arrays = pool.map(initial, parameters, parameters.values())
            return dict(zip(parameters, arrays, strict=True))
    except MemoryError:
        raise _too_large(size) from None


def _memory() -> int:
    """Bytes of this machine's memory, or more than any machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def _too_large(size: int) -> CnnError:
    return CnnError.of(
        "E0416",
        f"the weights need {size / 2**30:,.1f} GiB, more than there is memory",
        hint="use fewer filters, or a smaller input before a fully connected layer",
    )


def _generator(name: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def _normal(shape: Shape, fan_in: float, generator: np.random.Generator) -> Array:
    numbers = generator.standard_normal(shape, dtype=np.float32)
    numbers *= np.float32(math.sqrt(2 / max(fan_in, 1)))
    return numbers


def _he(shape: Shape, generator: np.random.Generator) -> Array:
    """Normal with variance 2 / fan-in; [out, in, *kernel] (He et al. 2015, section 2.2)."""
    return _normal(shape, math.prod(shape[1:]), generator)


def _he_table(shape: Shape, generator: np.random.Generator) -> Array:
    """He for [connections, *kernel]: as if each output read as many inputs as LeNet's C3, 3.75.

    The table's rows differ in length; LeCun et al. (1998), table I, has 60 connections for 16
    outputs.
    """
    return _normal(shape, 3.75 * math.prod(shape[1:]), generator)


def _he_local(shape: Shape, generator: np.random.Generator) -> Array:
    """He for kernels that depend on the position, [out, *tiles, in, *kernel]."""
    axes = (len(shape) - 2) // 2
    return _normal(shape, math.prod(shape[1 + axes :]), generator)


def _xavier(shape: Shape, generator: np.random.Generator) -> Array:
    """Uniform in +-sqrt(6 / (fan-in + fan-out)) (Glorot and Bengio 2010, equation 16)."""
    receptive = math.prod(shape[2:])
    limit = np.float32(math.sqrt(6 / ((shape[0] + shape[1]) * receptive)))
    numbers = generator.random(shape, dtype=np.float32)
    numbers *= 2 * limit
    numbers -= limit
    return numbers


def _signs(shape: Shape, generator: np.random.Generator) -> Array:
    """-1 or 1, for fixed RBF centres (LeCun et al. 1998, section II.B)."""
    return (2 * generator.integers(0, 2, shape) - 1).astype(np.float32)


def _fill(value: float) -> Callable[[Shape, np.random.Generator], Array]:
    return lambda shape, generator: np.full(shape, value, np.float32)


INITIALISERS: dict[str, Callable[[Shape, np.random.Generator], Array]] = {
    "he": _he,
    "he_table": _he_table,
    "he_local": _he_local,
    "xavier": _xavier,
    "zeros": _fill(0.0),
    "ones": _fill(1.0),
    "prelu": _fill(0.25),
    "signs": _signs,
}
"""What `ParameterSpec.init` names. prelu: the slope that He et al. (2015) start from."""
