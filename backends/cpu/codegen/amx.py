"""Instructions on the tiles of Intel's AMX: registers of up to 16 rows of 64 bytes, by number.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and the
instructions LDTILECFG, TILELOADD, TILEZERO, TDPBUSD, TDPBF16PS, TILESTORED and TILERELEASE.

Each instruction is a function in LLVM's language that is inlined: numbers of tiles are part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr
from cnndsl.backends.cpu.codegen.tir import Code

ROWS = 16
"""Of a tile at most."""
WORDS = 16
"""Words of four bytes in a row at most."""
TILES = 8
PALETTE = 1
CONFIGURATION = 64
"""Bytes of a configuration: the palette, from the 17th on the bytes of the rows of each tile in 16
bits, from the 49th on the rows of each."""


def configuration(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The bytes of a configuration whose tiles have so many rows of so many words."""
    found = [0] * CONFIGURATION
    found[0] = PALETTE
    for tile, (rows, words) in enumerate(sizes):
        found[16 + 2 * tile] = 4 * words
        found[48 + tile] = rows
    return found


def configure(code: Code, buffer: Any) -> None:
    """Let the tiles of this core be as the configuration in a buffer says."""
    code.run(*function("ldtilecfg", (), ("ptr",)), _address(buffer, 0))


def release(code: Code) -> None:
    """Give the tiles of this core back: the system has less to keep for the thread."""
    code.run(*function("tilerelease", (), ()))


def clear(code: Code, tile: int) -> None:
    """Fill a tile with zeros."""
    code.run(*function("tilezero", (tile,), ()))


def load(code: Code, tile: int, buffer: Any, index: Expr, stride: int) -> None:
    """Fill a tile from the index of a buffer on, whose rows begin so many bytes apart."""
    given = _address(buffer, index), tirx.const(stride, "int64")
    code.run(*function("tileloadd64", (tile,), ("ptr", "i64")), *given)


def store(code: Code, tile: int, buffer: Any, index: Expr, stride: int) -> None:
    """Write a tile where `load` would read it."""
    given = _address(buffer, index), tirx.const(stride, "int64")
    code.run(*function("tilestored64", (tile,), ("ptr", "i64")), *given)


def multiply(code: Code, product: str, total: int, a: int, b: int) -> None:
    """Add to a tile of sums the products of the words of two others.

    `product` is the instruction: to total[m][n] those of words a[m][k] and b[k][n] for all k.
    """
    code.run(*function(product, (total, a, b), ()))


def function(intrinsic: str, tiles: Sequence[int], kinds: Sequence[str]) -> tuple[str, str]:
    """The name and the text of a function that is an instruction on tiles of those numbers.

    `kinds` are the types of its parameters.
    """
    name = "_".join(map(str, ("cnndsl", intrinsic, *tiles)))
    parameters = [f"{kind} %p{index}" for index, kind in enumerate(kinds)]
    declared = ", ".join([*["i8 immarg"] * len(tiles), *kinds])
    given = ", ".join([*(f"i8 {tile}" for tile in tiles), *parameters])
    return name, (
        f"declare void @llvm.x86.{intrinsic}({declared})\n"
        f"define internal i32 @{name}({', '.join(parameters)}) alwaysinline {{\n"
        f"  call void @llvm.x86.{intrinsic}({given})\n"
        f"  ret i32 0\n}}\n"
    )


def _address(buffer: Any, index: Expr) -> Expr:
    return tirx.address_of(tirx.BufferLoad(buffer, [index]))
