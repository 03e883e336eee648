"""Packed weights: one block of memory that holds what all kernels read."""

from __future__ import annotations

import math
import mmap
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.algebra import pad, reshape, slice_axis, transpose
from cnndsl.ir.expressions import Apply, Expression, Parameter, parameters_of
from cnndsl.ir.types import BFLOAT16, DTYPES, FLOAT32, DType
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import Evaluator, evaluate

INT8, INT16, INT32 = DTYPES["int8"], DType("int16", 2), DTYPES["int32"]
"""Formats of whole numbers that kernels read."""
FORMATS = {**DTYPES, INT16.name: INT16}
"""All formats of what kernels read and write."""
FLOAT = FLOAT32.bytes
"""Bytes of a word, in which weights and the arena of a CPU are counted."""
ALIGNMENT = 64
"""Bytes: where arrays start that kernels read or write vectors of."""
PIECE = 1 << 22
"""Numbers of a large weight that are evaluated at a time."""
HUGE_PAGE = 2 << 20
"""Bytes: x86's huge page, and that of Arm with small pages of 4 KiB."""


@dataclass(frozen=True)
class Weight:
    """What a kernel reads as it lies in memory, in numbers of a dtype."""

    expression: Expression
    dtype: DType = FLOAT32

    @property
    def array_type(self) -> np.dtype[Any]:
        """The numpy type of its numbers."""
        if self.dtype == BFLOAT16:
            import ml_dtypes

            found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return found
        return np.dtype(self.dtype.name)

    @property
    def bytes(self) -> int:
        """Up to a multiple of the alignment."""
        used = math.prod(self.expression.shape) * self.dtype.bytes
        return max(1, -(-used // ALIGNMENT)) * ALIGNMENT

    @property
    def size(self) -> int:
        """The same in words."""
        return self.bytes // FLOAT


@dataclass(frozen=True)
class Packing:
    """The packed weights of a program.

    `entries` maps a name to a packed weight and to its offset in words; `offsets` lists
    for each step where its weights lie, in the order of its kernel. Equal weights are stored once.
    """

    entries: Mapping[str, tuple[Weight, int]]
    offsets: tuple[tuple[int, ...], ...]
    size: int

    def parameters(self) -> dict[str, Parameter]:
        """The network's parameters by name."""
        return {
            parameter.name: parameter
            for weight, _ in self.entries.values()
            for parameter in parameters_of(weight.expression)
        }

    def evaluate(self, values: Mapping[str, Array]) -> Array:
        """The block of memory, from the arrays of the network's parameters by name."""
        block = aligned(self.size)
        groups: dict[str, list[tuple[Weight, int]]] = {}
        for name, entry in self.entries.items():
            groups.setdefault(name.partition(":")[0], []).append(entry)

        def fill(group: list[tuple[Weight, int]]) -> None:
            evaluated = Evaluator(values)
            for weight, offset in group:
                shape = weight.expression.shape
                numbers = block[offset : offset + weight.size].view(weight.array_type)
                target = numbers[: math.prod(shape)].reshape(shape)
                if math.prod(shape) > PIECE and _rows(weight.expression, 0, 1):
                    _fill_by_rows(target, weight, values)
                else:
                    target[...] = evaluated(weight.expression, weight.array_type)

        with ThreadPoolExecutor() as pool:
            deque(pool.map(fill, groups.values()), maxlen=0)
        return block


def _fill_by_rows(target: Array, weight: Weight, values: Mapping[str, Array]) -> None:
    """Evaluate a weight a few rows at a time, so that no copy of all of it is made."""
    count = max(1, PIECE // math.prod(target.shape[1:]))
    for first in range(0, len(target), count):
        stop = min(first + count, len(target))
        part = _rows(weight.expression, first, stop)
        assert part
        target[first:stop] = evaluate(part, values, weight.array_type)


def _rows(whole: Expression, first: int, stop: int) -> Expression | None:
    """Rows of an expression as one of rows of a parameter, which is only moved; None if it is not.

    Rows are what lies along the first axis.
    """
    if isinstance(whole, Parameter):
        return slice_axis(whole, 0, first, stop)
    if not isinstance(whole, Apply) or not whole.shape:
        return None
    inner, settings = whole.arguments[0], dict(whole.settings)
    if whole.function == "reshape" and inner.shape and inner.shape[0] % whole.shape[0] == 0:
        each = inner.shape[0] // whole.shape[0]
        rows = _rows(inner, first * each, stop * each)
        return rows and reshape(rows, (stop - first, *whole.shape[1:]))
    if whole.function == "transpose" and settings["axes"][0] == 0:
        rows = _rows(inner, first, stop)
        return rows and transpose(rows, settings["axes"])
    if whole.function == "pad" and settings["pads"][0][0] == 0:
        begin, end = (min(index, inner.shape[0]) for index in (first, stop))
        rows, missing = _rows(inner, begin, end), stop - first - (end - begin)
        return rows and pad(rows, ((0, missing), *settings["pads"][1:]))
    return None


def pack(steps: Iterable[tuple[str, Mapping[str, Weight | Expression]]]) -> Packing:
    """Where the packed weights of all steps lie; a step is a node's name and weights by role.

    An expression alone is stored in float32.
    """
    entries: dict[str, tuple[Weight, int]] = {}
    known: dict[Weight, int] = {}
    offsets = []
    size = 0
    for node, weights in steps:
        own = []
        for role, given in weights.items():
            weight = as_weight(given)
            if weight not in known:
                known[weight] = size
                entries[f"{node}:{role}"] = (weight, size)
                size += weight.size
            own.append(known[weight])
        offsets.append(tuple(own))
    return Packing(entries, tuple(offsets), size)


def as_weight(given: Weight | Expression) -> Weight:
    """A packed weight; an expression alone is stored in float32."""
    return given if isinstance(given, Weight) else Weight(given)


def packed_size(given: Weight | Expression) -> int:
    """Words of a packed weight, up to a multiple of the alignment."""
    return as_weight(given).size


def as_aligned(array: Array) -> Array:
    """The array, or a copy of it that starts at a multiple of ALIGNMENT."""
    if array.ctypes.data % ALIGNMENT == 0:
        return array
    copy = aligned(array.size)
    copy[:] = array
    return copy


def aligned(size: int) -> Array:
    """An array of that many float32 zeros that starts at a multiple of ALIGNMENT.

    A large one lies in huge pages where the system has them: kernels walk many places of it at a
    time, more than the CPU can tell the pages of. Raises CnnError (E0711) if there is no memory.
    """
    is_large = FLOAT * size >= HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE")
    alignment = HUGE_PAGE if is_large else ALIGNMENT
    length = FLOAT * size + alignment
    try:
        raw = _huge_pages(length) if is_large else np.zeros(length, np.uint8)
    except (OSError, MemoryError, OverflowError):
        raise CnnError.of(
            "E0711",
            f"not enough memory: {FLOAT * size:,} bytes are needed for weights or all tensors",
            hint="use a smaller batch or input",
        ) from None
    start = -raw.ctypes.data % alignment
    array: Array = raw[start : start + FLOAT * size].view(np.float32)
    return array


def _huge_pages(length: int) -> Array:
    """So many bytes."""
    pages = mmap.mmap(-1, length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)
