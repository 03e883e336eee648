"""Winograd convolution of numbers in bfloat16 whose tiles are rounded to bfloat16 as well.

The smallest tiles alone, F(2x2, 3x3), F(1x2, 1x3) and F(2x1, 3x1): their transforms add and
subtract, and take no more from what two roundings leave than a step of the largest result. Words of
two channels are multiplied, at twice the rate of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, load, vector
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.direct.products import Ahead, Totals
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.kernels.tiles import largest_divisor
from cnndsl.backends.cpu.kernels.winograd.code import WinogradCode
from cnndsl.backends.cpu.kernels.words import UNROLLED


@dataclass(frozen=True)
class WordsCode(WinogradCode):
    """Writes the code of a plan with words."""

    def _keep(self, body: Body, index: Expr, value: Expr) -> None:
        plan, code = self.plan, body.code
        words = tirx.reinterpret(f"float32x{plan.vector}", code.rounded(value, plan.lanes))
        code.store(body.scratch, index, words, plan.vector)

    def _add_block(
        self,
        code: Code,
        totals: Totals,
        inputs: tuple[Any, Expr],
        weights: tuple[Any, Expr],
        ahead: Ahead | None,
    ) -> None:
        plan, own = self.plan, self.plan.words
        assert own
        columns, blocks, lanes = len(totals), len(totals[0]), plan.lanes
        together = largest_divisor(plan.vector, max(1, UNROLLED // (columns * blocks)))
        row = own.size * lanes * plan.tile.blocks
        first, start = code.base(inputs[1]), code.base(weights[1])
        with code.loop(plan.vector // together) as outer:
            read, packed = code.base(outer * together), code.base(outer * (together * row))
            for inner in range(together):
                factors = [
                    own.weights(
                        code, weights[0], start + packed + (inner * row + b * own.size * lanes)
                    )
                    for b in range(blocks)
                ]
                for column, registers in enumerate(totals):
                    word = load(inputs[0], first + read + (inner + column * plan.vector))
                    every = vector(tirx.reinterpret("int32", word), lanes)
                    operand = code.register(every, lanes, "int32").value
                    for factor, total in zip(factors, registers, strict=True):
                        own.add(code, total, operand, factor)
