"""The innermost loop of every dense kernel: a tile of outputs, a few input channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.backends.tvm.expressions import Expr, load, vector
from cnndsl.backends.tvm.tiles import largest_divisor
from cnndsl.backends.tvm.tir import Code, Register

UNROLLED = 64
"""Multiply-adds in the body of the loop, about."""


def add_products(
    code: Code,
    totals: Sequence[Sequence[Register]],
    inputs: tuple[Any, Expr],
    step: int,
    weights: tuple[Any, Expr],
    channels: int,
    width: int,
    ahead: int = 0,
) -> None:
    """totals[column][block] += sum over channels c of x[c + column*step] * w[c][block].

    `inputs` and `weights` are buffers, with the index of their first number. Weights are
    [channels, width, lanes], of which the first blocks are read. Those that lie `ahead` numbers
    further are asked for, if it is not 0.
    """
    blocks, lanes = len(totals[0]), totals[0][0].lanes
    x, w = inputs[0], weights[0]
    first, start = code.base(inputs[1]), code.base(weights[1])
    together = largest_divisor(channels, max(1, UNROLLED // (blocks * len(totals))))
    with code.loop(channels // together) as outer:
        read, row_start = code.base(outer * together), code.base(outer * (together * width * lanes))
        for inner in range(together):
            row = start + row_start + inner * (width * lanes)
            vectors = [load(w, row + b * lanes, lanes) for b in range(blocks)]
            for b in range(blocks if ahead else 0):
                code.prefetch(w, row + b * lanes + ahead)
            for column, registers in enumerate(totals):
                scalar = vector(load(x, first + read + (inner + column * step)), lanes)
                for weight, total in zip(vectors, registers, strict=True):
                    code.set(total, total.value + scalar * weight)
