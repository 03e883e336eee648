"""Numbers in bfloat16, which are the upper halves of float32: code computes in float32.

Buffers hold them as `STORED`, which stands for nothing else: what is loaded of it is made longer,
what is stored is rounded.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.ir.types import BFLOAT16

STORED = "uint16"
HALF = 16
"""Bits of a number."""
JUST_BELOW = 0x7FFF
"""Just less than half of the last bit that is kept."""
QUIET = 0x00400000
"""The bit that NaN keeps if it loses all others."""


def stored_as(dtype: str) -> str:
    """The type of a buffer of numbers."""
    return STORED if dtype == BFLOAT16.name else dtype


def is_stored(buffer: Any) -> bool:
    """Whether a buffer holds numbers of bfloat16."""
    return str(buffer.dtype) == STORED


def widened(bits: Any, lanes: int) -> Any:
    """The same numbers as float32."""
    upper = tirx.shift_left(_cast("int32", bits, lanes), _whole(HALF, lanes))
    return tirx.reinterpret(_type("float32", lanes), upper)


def rounded(value: Any, lanes: int) -> Any:
    """The bits of the nearest numbers, ties to even; of NaN those of a NaN."""
    bits = tirx.reinterpret(_type("int32", lanes), value)
    odd = tirx.bitwise_and(tirx.shift_right(bits, _whole(HALF, lanes)), _whole(1, lanes))
    nearest = bits + (odd + _whole(JUST_BELOW, lanes))
    kept = tirx.Select(tirx.isnan(value), tirx.bitwise_or(bits, _whole(QUIET, lanes)), nearest)
    return _cast(STORED, tirx.shift_right(kept, _whole(HALF, lanes)), lanes)


def rounding(lanes: int) -> tuple[str, str]:
    """The name and the text of a function in LLVM's language for CPUs that can round."""
    wide, short, bits = (_llvm(kind, lanes) for kind in ("float", "bfloat", "i16"))
    name = f"cnndsl_bfloat16_{lanes}"
    return name, (
        f"define internal {bits} @{name}({wide} %x) alwaysinline {{\n"
        f"  %short = fptrunc {wide} %x to {short}\n"
        f"  %bits = bitcast {short} %short to {bits}\n"
        f"  ret {bits} %bits\n}}\n"
    )


def dot_product(intrinsic: str, lanes: int) -> tuple[str, str]:
    """The same of a function that adds to sums the products of words of two numbers."""
    total, words, short = (
        _llvm(kind, count)
        for kind, count in (("float", lanes), ("i32", lanes), ("bfloat", 2 * lanes))
    )
    name = f"cnndsl_dot_{lanes}"
    return name, (
        f"declare {total} @{intrinsic}({total}, {short}, {short})\n"
        f"define internal {total} @{name}({total} %total, {words} %x, {words} %w) alwaysinline {{\n"
        f"  %a = bitcast {words} %x to {short}\n"
        f"  %b = bitcast {words} %w to {short}\n"
        f"  %sum = call {total} @{intrinsic}({total} %total, {short} %a, {short} %b)\n"
        f"  ret {total} %sum\n}}\n"
    )


def _llvm(kind: str, lanes: int) -> str:
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


def _type(name: str, lanes: int) -> str:
    return name if lanes == 1 else f"{name}x{lanes}"


def _cast(name: str, value: Any, lanes: int) -> Any:
    return tirx.Cast(_type(name, lanes), value)


def _whole(value: int, lanes: int) -> Any:
    scalar = tirx.const(value, "int32")
    return scalar if lanes == 1 else tirx.Broadcast(scalar, lanes)
