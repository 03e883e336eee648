"""Products of words of two numbers of bfloat16, summed up in float32.

| products | CPUs | in one instruction |
|---|---|---|
| `dot` | AVX512-BF16, Arm with bf16 | two products, added to a sum (`vdpbf16ps`, `bfdot`) |
| `halves` | all others | a product of float32, which a number is half of |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.bfloat16 import HALF, dot_product
from cnndsl.backends.cpu.codegen.expressions import Expr, load_bits, vector
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.ir.operators import FullyConnected
from cnndsl.ir.types import BFLOAT16, DType

PAIR = 2
DOT = {
    4: "llvm.aarch64.neon.bfdot.v4f32.v8bf16",
    16: "llvm.x86.avx512bf16.dpbf16ps.512",
}
"""By the lanes of the sums."""
LOWER, UPPER = 0x0000FFFF, -0x00010000


@dataclass(frozen=True)
class Halves(Words):
    """How words are multiplied. The first number of a word is its lower half."""

    @classmethod
    def of(cls, call: Call[Any]) -> Self | None:
        """Those of a call whose operand has words of channels, all of one group."""
        op, x, lanes = call.op, call.x, call.machine.lanes
        if x.dtype != BFLOAT16.name or x.block != lanes or lanes % PAIR:
            return None
        width = x.channels if isinstance(op, FullyConnected) else x.channels // op.groups
        if width < x.channels and width % PAIR:
            return None
        return cls("dot" if call.machine.multiplies_bf16 else "halves", lanes, (0, 1), 1)

    @classmethod
    def pairs(cls, lanes: int) -> Self:
        """Those that instructions of two products take."""
        return cls("dot", lanes, (0, 1), 1)

    @property
    def dtype(self) -> DType:
        """See `Words`."""
        return BFLOAT16

    @property
    def instructions(self) -> int:
        """See `Words`."""
        return 1 if self.kind == "dot" else PAIR

    def held(self, blocks: int) -> int:
        """See `Words`."""
        return blocks + 2 if self.kind == "dot" else PAIR * blocks + 3

    def operands(self, code: Code, buffer: Any, index: Expr, count: int) -> Sequence[Any]:
        """See `Words`. What has no channel may be infinite: it does not count."""
        word = tirx.reinterpret("int32", load_bits(buffer, index, PAIR))
        if count < PAIR:
            word = tirx.bitwise_and(word, tirx.const(LOWER, "int32"))
        every = code.register(vector(word, self.lanes), self.lanes, "int32").value
        return [every if self.kind == "dot" else self._split(code, every)]

    def weights(self, code: Code, buffer: Any, index: Expr) -> Any:
        """See `Words`."""
        bits = load_bits(buffer, index, PAIR * self.lanes)
        words = tirx.reinterpret(f"int32x{self.lanes}", bits)
        if self.kind == "dot":
            return words
        return self._split(code, code.register(words, self.lanes, "int32").value)

    def add(self, code: Code, total: Register, operand: Any, weights: Any) -> None:
        """See `Words`."""
        if self.kind == "dot":
            function = dot_product(DOT[self.lanes], self.lanes)
            kind = f"float32x{self.lanes}"
            code.set(total, code.inline(kind, *function, total.value, operand, weights))
            return
        for number, weight in zip(operand, weights, strict=True):
            code.set(total, total.value + number * weight)

    def _split(self, code: Code, words: Expr) -> tuple[Expr, Expr]:
        """The first and the second number of words, as float32."""
        lanes = self.lanes
        kind = f"float32x{lanes}"
        halves = (
            tirx.shift_left(words, vector(tirx.const(HALF, "int32"), lanes)),
            tirx.bitwise_and(words, vector(tirx.const(UPPER, "int32"), lanes)),
        )
        lower, upper = (code.register(tirx.reinterpret(kind, half), lanes).value for half in halves)
        return lower, upper
