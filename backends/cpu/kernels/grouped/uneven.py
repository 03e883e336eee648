"""Convolution in groups that give fewer outputs than a vector has, or begin inside one.

Each output needs input j of its group at a time: of the groups of a vector one number after another
is loaded into all lanes, of which it keeps those of its group. So nothing is multiplied that is not
the group's own, as it would be by weights of zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, div, from_lane, load, minimum, mod, vector
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.grouped.narrow import NarrowGroups


class UnevenGroups(NarrowGroups):
    """The convolution of a call whose groups have less than `lanes` outputs each."""

    @property
    def _size(self) -> int:
        """Outputs of a group."""
        return self.op.filters // self.op.groups

    @property
    def _is_interleaved(self) -> bool:
        return False

    @property
    def most(self) -> int:
        """Groups of a vector at most."""
        return most_groups(self._size, self._lanes)

    def _first_block(self, block: Expr) -> Expr:
        return 0

    def _reader(self, code: Code, buffer: Any, block: Expr, j: Expr) -> Callable[[Expr], Expr]:
        lanes, size, layout = self._lanes, self._size, self.call.x
        first = code.name(div(block * lanes, size))
        places, starts = [], []
        for number in range(self.most):
            group = minimum(first + number, self.op.groups - 1)
            channel = code.name(group * self._width + j)
            places.append(code.base(div(channel, lanes) * layout.plane + mod(channel, lanes)))
            is_even = lanes % size == 0
            starts.append(number * size if is_even else (first + number) * size - block * lanes)

        def blended(index: Expr) -> Expr:
            numbers = [vector(load(buffer, index + place), lanes) for place in places]
            value = numbers[0]
            for number, start in zip(numbers[1:], starts[1:], strict=True):
                value = from_lane(start, number, value, lanes)
            return code.register(value, lanes).value

        return blended


def most_groups(size: int, lanes: int) -> int:
    """Groups of so many outputs that a vector has outputs of, at most."""
    return lanes // size if lanes % size == 0 else (lanes - 2) // size + 2
