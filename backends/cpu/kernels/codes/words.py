"""Products of words: four codes of neighbouring channels times four weights for each lane.

| products | CPUs | in one instruction |
|---|---|---|
| `vnni` | AVX512-VNNI, AVX-VNNI | four products, summed up with 32 bits |
| `pairs` | SSE4.1, AVX2, AVX-512BW | two products of 16 bits each (`pmaddwd`) |
| `numbers` | the same, where codes were copied as numbers of 16 bits | the same |
| `sdot` | Arm with dot products | four products of signed numbers |
| `plain` | all others | a product of 32 bits |

All are exact. `pmaddubsw` is not used: it would saturate the sum of two products of codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import INT8, INT16
from cnndsl.ir.types import UINT8, DType

WORD = 4
"""Codes of a word."""
MADD = {
    4: "llvm.x86.sse2.pmadd.wd",
    8: "llvm.x86.avx2.pmadd.wd",
    16: "llvm.x86.avx512.pmaddw.d.512",
}
"""By the lanes of the sums."""
DOT = {8: "llvm.x86.avx512.vpdpbusd.256", 16: "llvm.x86.avx512.vpdpbusd.512"}
SDOT = "llvm.aarch64.neon.sdot.v4i32.v16i8"
EVEN_BYTES = 0x00FF00FF
SIGNS = -0x7F7F7F80
"""The highest bit of each byte."""


@dataclass(frozen=True)
class Products(Words):
    """How words of codes are multiplied; `offset` is taken from codes first."""

    offset: int = 0

    @classmethod
    def of(cls, machine: Machine) -> Products:
        """Those of a CPU."""
        features, lanes, extension = machine.features, machine.lanes, machine.extension
        is_wide = extension == "avx512"
        if ("avx512vnni" if is_wide else "avxvnni") in features and lanes in DOT:
            return cls.vnni(lanes)
        needed = {"avx512": "avx512bw", "avx2": "avx2", "sse": "sse4.1"}.get(extension)
        if needed in features:
            return cls("pairs", lanes, (0, 2, 1, 3), 2)
        if extension == "neon" and "dotprod" in features:
            return cls("sdot", lanes, (0, 1, 2, 3), 1, offset=128)
        return cls("plain", lanes, (0, 1, 2, 3), 4)

    def widened(self) -> Products:
        """Those of codes that were copied as numbers of 16 bits, where that takes less time."""
        return replace(self, kind="numbers", order=(0, 1), parts=1) if self.parts == 2 else self

    @classmethod
    def vnni(cls, lanes: int) -> Products:
        """Those of words whose codes are in order, as instructions of four products take them."""
        return cls("vnni", lanes, (0, 1, 2, 3), 1)

    @property
    def read(self) -> DType:
        """The format of what is multiplied, as it lies in memory."""
        return INT16 if self.kind == "numbers" else UINT8

    @property
    def dtype(self) -> DType:
        """See `Words`."""
        return INT8

    def held(self, blocks: int) -> int:
        """See `Words`."""
        return self.parts * blocks + (2 if self.kind in ("vnni", "sdot") else 3)

    @property
    def instructions(self) -> int:
        """See `Words`: one, or two for each part."""
        return 1 if self.kind in ("vnni", "sdot") else 2 * self.parts

    def operands(self, code: Code, buffer: Any, index: Expr, count: int) -> Sequence[Expr]:
        """See `Words`: a vector for each part. All codes are finite, so all may count."""
        word = tirx.reinterpret("int32", load(buffer, index, self.size))
        if self.kind == "numbers":
            return [code.register(vector(word, self.lanes), self.lanes, "int32").value]
        return self.divided(code, vector(word, self.lanes))

    def divided(self, code: Any, words: Expr) -> list[Expr]:
        """A word of codes for each lane: a vector for each part."""
        lanes = self.lanes
        if self.kind == "sdot":
            words = tirx.bitwise_xor(words, _whole(SIGNS, lanes))
        every = code.register(words, lanes, "int32").value
        if self.parts == 1:
            return [tirx.reinterpret(f"int8x{WORD * lanes}", every)]
        if self.kind == "pairs":
            mask = _whole(EVEN_BYTES, lanes)
            shifted = [every, tirx.shift_right(every, _whole(8, lanes))]
            return [
                code.register(tirx.bitwise_and(part, mask), lanes, "int32").value
                for part in shifted
            ]
        shifted = [tirx.shift_right(every, _whole(8 * byte, lanes)) for byte in range(WORD)]
        return [tirx.bitwise_and(part, _whole(255, lanes)) for part in shifted]

    def weights(self, code: Code, buffer: Any, index: Expr) -> Expr:
        """See `Words`."""
        lanes = self.lanes * self.width
        found = load(buffer, index, lanes)
        if self.kind in ("vnni", "sdot"):
            return found
        kind = "int32" if self.kind == "plain" else "int16"
        return code.register(cast(found, kind, lanes), lanes, kind).value

    def add(self, code: Code, total: Register, operand: Expr, weights: Expr) -> None:
        """See `Words`."""
        code.set(total, self._added(total.value, operand, weights))

    def _added(self, total: Expr, operand: Expr, weights: Expr) -> Expr:
        lanes = self.lanes
        kind = f"int32x{lanes}"
        if self.kind in ("pairs", "numbers"):
            words = tirx.reinterpret(f"int16x{2 * lanes}", operand)
            return in_order(total + _call(kind, MADD[lanes], words, weights), lanes)
        if self.kind == "vnni":
            return _call(kind, DOT[lanes], total, operand, weights)
        if self.kind == "sdot":
            return _call(kind, SDOT, total, operand, weights)
        return total + operand * weights


def in_order(total: Expr, lanes: int) -> Expr:
    """A sum of whole numbers that is complete before something else is added to it.

    LLVM would add up products first, which then take the registers of the sums.
    """
    kind = f"float32x{lanes}"
    bits = tirx.reinterpret(kind, total)
    fenced = tirx.call_llvm_pure_intrin(kind, "llvm.arithmetic.fence", bits)
    return tirx.reinterpret(f"int32x{lanes}", fenced)


def _call(kind: str, name: str, *arguments: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin(kind, name, *arguments)


def _whole(value: int, lanes: int) -> Expr:
    return vector(tirx.const(value, "int32"), lanes)
