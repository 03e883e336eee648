"""The innermost loop of every dense kernel: a tile of outputs, a few input channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cnndsl.backends.tvm.expressions import Expr, load, vector
from cnndsl.backends.tvm.tiles import largest_divisor
from cnndsl.backends.tvm.tir import Code, Register

FLOATS_OF_LINE = 16
"""What moves between caches together."""
UNROLLED = 64
"""Multiply-adds in the body of the loop, about."""

Totals: TypeAlias = Sequence[Sequence[Register]]
"""The sums of a tile: of each column those of each output block."""


@dataclass(frozen=True)
class Ahead:
    """Lines of the cache to ask for while a loop goes on: so many of a buffer, from an index on.

    They are spread as evenly as can be: a CPU waits for memory itself where it is asked for many
    lines at once.
    """

    buffer: Any
    start: Expr
    lines: int

    @classmethod
    def of(cls, code: Code, buffer: Any, start: Expr, lines: int) -> Ahead:
        """Those from an index on that is computed here, once."""
        return cls(buffer, code.base(start), lines)

    def ask(self, code: Code, index: Expr, rounds: int, part: tuple[int, int]) -> None:
        """Ask for the share of one of the parts of a round of the loop."""
        share = -(-self.lines // rounds)
        number, parts = part
        for line in range(share):
            if line * parts // share == number:
                place = self.start + (index * share + line) * FLOATS_OF_LINE
                code.prefetch(self.buffer, place)


def add_products(
    code: Code,
    totals: Totals,
    inputs: tuple[Any, Expr],
    step: int,
    weights: tuple[Any, Expr],
    channels: int,
    width: int,
    ahead: Ahead | None = None,
) -> None:
    """totals[column][block] += sum over channels c of x[c + column*step] * w[c][block].

    `inputs` and `weights` are buffers, with the index of their first number. Weights are
    [channels, width, lanes], of which the first blocks are read. What lies `ahead` is asked for on
    the way.
    """
    blocks, lanes = len(totals[0]), totals[0][0].lanes
    x, w = inputs[0], weights[0]
    first, start = code.base(inputs[1]), code.base(weights[1])
    together = largest_divisor(channels, max(1, UNROLLED // (blocks * len(totals))))
    with code.loop(channels // together) as outer:
        read, row_start = code.base(outer * together), code.base(outer * (together * width * lanes))
        index = code.base(outer) if ahead else outer
        for inner in range(together):
            row = start + row_start + inner * (width * lanes)
            vectors = [load(w, row + b * lanes, lanes) for b in range(blocks)]
            if ahead:
                ahead.ask(code, index, channels // together, (inner, together))
            for column, registers in enumerate(totals):
                scalar = vector(load(x, first + read + (inner + column * step)), lanes)
                for weight, total in zip(vectors, registers, strict=True):
                    code.set(total, total.value + scalar * weight)
