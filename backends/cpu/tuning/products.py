"""What this machine reaches at best in products of words and of AMX's tiles, all in registers."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.codegen import amx, tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, floats, load, load_bits
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.amx.family import INSTRUCTIONS
from cnndsl.backends.cpu.kernels.codes.words import Products
from cnndsl.backends.cpu.kernels.direct.halves import Halves
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.cpu.machine import AMX_BF16, AMX_INT8, Machine
from cnndsl.backends.native.packing import INT8
from cnndsl.ir.types import BFLOAT16

FEATURES = {INT8.name: AMX_INT8, BFLOAT16.name: AMX_BF16}
"""Of the CPUs that multiply tiles, by format."""


def words_of(machine: Machine, dtype: str) -> Words | None:
    """How words of a format are multiplied; None where it is done number by number in float32."""
    if dtype == INT8.name:
        return Products.of(machine)
    return Halves.pairs(machine.lanes) if machine.multiplies_bf16 else None


def word_products(words: Words, name: str, chains: int, rounds: int, tasks: int) -> Any:
    """sums[task][chain] += products of the words of the sums and of `factors`, so many rounds.

    Where sums are whole numbers, they are the words too: of others LLVM would compute the product
    once.
    """
    lanes = words.lanes
    is_whole = words.dtype == INT8
    kind = "int32" if is_whole else "float32"
    sums = floats("sums", tasks * chains * lanes, kind)
    factors = floats("factors", words.size * lanes, words.dtype.name)
    code = Code()
    with code.parallel(tasks) as (task,):
        first = task * (chains * lanes)
        registers = [
            code.register(load(sums, first + index * lanes, lanes), lanes, kind)
            for index in range(chains)
        ]
        weights = words.weights(code, factors, 0)
        word = None if is_whole else _word(words, factors)
        with code.loop(rounds):
            for register in registers:
                operand = _codes(words, register.value) if word is None else word
                words.add(code, register, operand, weights)
        for index, register in enumerate(registers):
            code.store(sums, first + index * lanes, register.value, lanes)
    return code.function(name, [sums, factors])


def _codes(words: Words, value: Expr) -> Expr:
    """A vector of whole numbers as what a part multiplies."""
    if words.parts > 1:
        return value
    return tirx.reinterpret(f"int8x{words.size * words.lanes}", value)


def _word(words: Words, factors: Any) -> Expr:
    lanes = words.lanes
    return tirx.reinterpret(f"int32x{lanes}", load_bits(factors, 0, words.size * lanes))


def tile_products(dtype: str, name: str, rounds: int, tasks: int) -> Any:
    """Four tiles of sums += the products of two tiles times two, so many rounds; all are zero."""
    settings = floats("settings", amx.CONFIGURATION, "uint8")
    code = Code()
    amx.configure(code, settings)
    for tile in range(amx.TILES):
        amx.clear(code, tile)
    with code.parallel(tasks), code.loop(rounds):
        for total in range(4):
            amx.multiply(code, INSTRUCTIONS[FEATURES[dtype]], total, 4 + total // 2, 6 + total % 2)
    amx.release(code)
    return code.function(name, [settings])


def whole_tiles() -> list[int]:
    """A configuration of tiles that are as large as can be."""
    return amx.configuration([(amx.ROWS, amx.WORDS)] * amx.TILES)
