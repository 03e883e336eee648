"""Seeded starting values of parameters."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.types import FLOAT32

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Start:
    """A change of what an initialiser makes: factor * x + shift."""

    factor: float = 1.0
    shift: float = 0.0


def initialise(
    parameters: Mapping[str, Parameter], seed: int, starts: Mapping[str, Start] | None = None
) -> dict[str, Array]:
    """Float32 arrays by name. Each depends on the seed, its name, its shape and its start alone.

    Raises CnnError (E0416) if they do not fit into memory.
    """
    size = sum(FLOAT32.bytes * math.prod(parameter.shape) for parameter in parameters.values())
    if size > _memory():
        raise _too_large(size)

    def initial(name: str, parameter: Parameter) -> Array:
        array = INITIALISERS[parameter.init](parameter.shape, random_for(name, seed))
        if starts and name in starts:
            array *= np.float32(starts[name].factor)
            array += np.float32(starts[name].shift)
        return array

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


def random_for(name: str, seed: int) -> np.random.Generator:
    """Random numbers for a parameter, which depend on its name and the seed alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def fans(parameter: Parameter) -> tuple[float, float | None]:
    """Values that make one result of a weight, and results that a value goes into.

    Of [out, in, *kernel], as PyTorch counts them. Those of a table of channels are not known.
    """
    shape = parameter.shape
    if parameter.init == "he_table":
        return 2 / _he_table(shape), None
    if parameter.init == "he_local":
        shape = _one_position(shape)
    return 2 / _he(shape), max(shape[0] * math.prod(shape[2:]), 1)


def _he(shape: Shape) -> float:
    """2 / fan-in; [out, in, *kernel] (He et al. 2015, section 2.2)."""
    return 2 / max(math.prod(shape[1:]), 1)


def _he_table(shape: Shape) -> float:
    """He for [connections, *kernel]: as if each output read as many inputs as LeNet's C3, 3.75.

    The table's rows differ in length; LeCun et al. (1998), table I, has 60 connections for 16
    outputs.
    """
    return 2 / max(3.75 * math.prod(shape[1:]), 1)


def _he_local(shape: Shape) -> float:
    """He for kernels that depend on the position, [out, *tiles, in, *kernel]."""
    return _he(_one_position(shape))


def _one_position(shape: Shape) -> Shape:
    """[out, in, *kernel] of [out, *tiles, in, *kernel]."""
    return (shape[0], *shape[1 + (len(shape) - 2) // 2 :])


def _he_local_table(shape: Shape) -> float:
    """He by table for kernels that depend on the position, [connections, *tiles, *kernel]."""
    return _he_table(shape[(len(shape) - 1) // 2 :])


def _xavier(shape: Shape) -> float:
    """2 / (fan-in + fan-out) (Glorot and Bengio 2010, equation 12)."""
    return 2 / ((shape[0] + shape[1]) * math.prod(shape[2:]))


VARIANCES: dict[str, Callable[[Shape], float]] = {
    "he": _he,
    "he_table": _he_table,
    "he_local": _he_local,
    "he_local_table": _he_local_table,
    "xavier": _xavier,
    "normal": lambda shape: 0.02**2,
}
"""The variance of random weights by the name of their initialiser."""


def variance(parameter: Parameter) -> float:
    """The variance with which a random weight starts."""
    return VARIANCES[parameter.init](parameter.shape)


def _normal(init: str) -> Callable[[Shape, np.random.Generator], Array]:
    def normal(shape: Shape, generator: np.random.Generator) -> Array:
        numbers = generator.standard_normal(shape, dtype=np.float32)
        numbers *= np.float32(math.sqrt(VARIANCES[init](shape)))
        return numbers

    return normal


def _uniform(shape: Shape, generator: np.random.Generator) -> Array:
    """In +-sqrt(6 / (fan-in + fan-out)) (Glorot and Bengio 2010, equation 16)."""
    limit = np.float32(math.sqrt(3 * _xavier(shape)))
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
    "he": _normal("he"),
    "he_table": _normal("he_table"),
    "he_local": _normal("he_local"),
    "he_local_table": _normal("he_local_table"),
    "xavier": _uniform,
    "normal": _normal("normal"),
    "zeros": _fill(0.0),
    "ones": _fill(1.0),
    "prelu": _fill(0.25),
    "signs": _signs,
}
"""What `ParameterSpec.init` names. prelu: the slope that He et al. (2015) start from."""
