"""The innermost loop of every dense kernel: a tile of outputs, a few input channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from cnndsl.backends.cpu.codegen.expressions import Expr, div, load, minimum, vector
from cnndsl.backends.cpu.codegen.sums import Range, positions
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.tiles import largest_divisor

FLOATS_OF_LINE = 16
"""What moves between caches together."""
LONG, SHORT = 512, 64
"""Products that are added up in one register where it is one of many, and where weights are read
from memory for a single output: in the latter case more sums of parts take no more time.
"""
UNROLLED = 64
"""Multiply-adds in the body of the loop, about."""

Totals: TypeAlias = Sequence[Sequence[Register]]
"""The sums of a tile: of each column those of each output block."""


@dataclass(frozen=True)
class Ahead:
    """Lines of the cache to ask for while a loop goes on: so many of a buffer, from an index on.

    Each has `line` numbers. They are spread as evenly as can be: a CPU waits for memory itself
    where it is asked for many lines at once.
    """

    buffer: Any
    start: Expr
    lines: int
    line: int = FLOATS_OF_LINE

    @classmethod
    def of(
        cls, code: Code, buffer: Any, start: Expr, lines: int, line: int = FLOATS_OF_LINE
    ) -> Ahead:
        """Those from an index on that is computed here, once."""
        return cls(buffer, code.base(start), lines, line)

    def ask(self, code: Code, index: Expr, rounds: int, part: tuple[int, int]) -> None:
        """Ask for the share of one of the parts of a round of the loop."""
        share = -(-self.lines // rounds)
        number, parts = part
        for line in range(share):
            if line * parts // share == number:
                place = self.start + (index * share + line) * self.line
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


def add_in_parts(
    code: Code,
    totals: Totals,
    axes: Sequence[Range],
    products: int,
    longest: int,
    add: Callable[[Totals, Sequence[Expr]], None],
) -> None:
    """add(sums, index) for each position of a box, which adds so many products to each sum.

    Where there are more than `longest` in all, sums of parts are formed in registers of their own.
    """
    if products * math.prod(axis.most for axis in axes) <= longest:
        with positions(code, axes) as index:
            add(totals, index)
        return
    axis, *inner = axes
    within = products * math.prod(axis.most for axis in inner)
    group = max(1, longest // within)
    exact = group == 1 or (isinstance(axis.count, int) and axis.count % group == 0)

    def add_group(sums: Totals, index: Sequence[Expr]) -> None:
        start = code.name(index[0] * group)
        part = Range(start, group if exact else minimum(group, axis.count - start), group)
        blocks = len(sums[0])
        with apart(code, [total for column in sums for total in column]) as registers:
            own = [registers[i : i + blocks] for i in range(0, len(registers), blocks)]
            with positions(code, [part]) as outer:
                add_in_parts(
                    code, own, inner, products, longest, lambda to, rest: add(to, (*outer, *rest))
                )

    groups = Range(0, div(axis.count + (group - 1), group), -(-axis.most // group))
    add_in_parts(code, totals, [groups], 1, longest, add_group)


@contextmanager
def apart(
    code: Code, totals: Sequence[Register], condition: bool = True
) -> Iterator[list[Register]]:
    """Registers for sums that are added to the totals in the end; those themselves if not so."""
    if not condition:
        yield list(totals)
        return
    own = [code.register(vector(0.0, total.lanes), total.lanes) for total in totals]
    yield own
    for total, part in zip(totals, own, strict=True):
        code.set(total, total.value + part.value)
