"""Packed weights: one block of memory that holds what all kernels read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.expressions import Expression, Parameter, parameters_of
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import Evaluator

ALIGNMENT = 64
"""Bytes: where arrays start that kernels read or write vectors of."""


@dataclass(frozen=True)
class Packing:
    """The packed weights of a program.

    `entries` maps a name to the expression of a packed weight and to its offset in floats;
    `offsets` lists for each step where its weights lie, in the order of its kernel. Equal
    expressions are stored once.
    """

    entries: Mapping[str, tuple[Expression, int]]
    offsets: tuple[tuple[int, ...], ...]
    size: int

    def parameters(self) -> dict[str, Parameter]:
        """The network's parameters by name."""
        return {
            parameter.name: parameter
            for expression, _ in self.entries.values()
            for parameter in parameters_of(expression)
        }

    def evaluate(self, values: Mapping[str, Array]) -> Array:
        """The block of memory, from the arrays of the network's parameters by name."""
        block = aligned(self.size)
        block[:] = 0
        evaluate: Evaluator | None = None
        owner = ""
        for name, (expression, offset) in self.entries.items():
            if evaluate is None or name.partition(":")[0] != owner:
                owner = name.partition(":")[0]
                evaluate = Evaluator(values)
            array = evaluate(expression, np.float32)
            block[offset : offset + array.size] = array.ravel()
        return block


def pack(steps: Iterable[tuple[str, Mapping[str, Expression]]]) -> Packing:
    """Where the packed weights of all steps lie; a step is a node's name and weights by role."""
    entries: dict[str, tuple[Expression, int]] = {}
    known: dict[Expression, int] = {}
    offsets = []
    size = 0
    for node, weights in steps:
        own = []
        for role, expression in weights.items():
            if expression not in known:
                known[expression] = size
                entries[f"{node}:{role}"] = (expression, size)
                size += packed_size(expression)
            own.append(known[expression])
        offsets.append(tuple(own))
    return Packing(entries, tuple(offsets), size)


def packed_size(expression: Expression) -> int:
    """Floats of a packed weight, up to a multiple of the alignment."""
    line = ALIGNMENT // 4
    return max(1, -(-math.prod(expression.shape) // line)) * line


def aligned(size: int) -> Array:
    """An array of that many float32, not initialised, that starts at a multiple of ALIGNMENT."""
    raw = np.empty(size * 4 + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    array: Array = raw[start : start + size * 4].view(np.float32)
    return array
