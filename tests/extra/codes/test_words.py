"""Linear layers by the words of other CPUs, whose instructions are written out, to the bit."""

from __future__ import annotations

from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, vector
from cnndsl.backends.cpu.kernels.codes import words
from cnndsl.backends.cpu.kernels.codes.words import DOT, MADD, SDOT, Products
from cnndsl.ir.operators import Meaning
from tests.cpu.codes import assert_same_codes, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.quantise.test_meaning import QUANTISED, meaning

LAYERS = [case for case in QUANTISED if meaning(case) is Meaning.LINEAR]
TOGETHER = 12
IN_ORDER = (0, 1, 2, 3)
KINDS = {
    "vpdpbusd of 512 bits": ("avx512", Products("vnni", 16, IN_ORDER, 1)),
    "vpdpbusd of 256 bits": ("avx2", Products("vnni", 8, IN_ORDER, 1)),
    "pmaddwd of 512 bits": ("avx512", Products("pairs", 16, (0, 2, 1, 3), 2)),
    "sdot": ("neon", Products("sdot", 4, IN_ORDER, 1, offset=128)),
}


def written_out(kind: str, name: str, *arguments: Expr) -> Expr:
    """What an instruction does: vpdpbusd and pmaddwd by Intel's manual, sdot by Arm's."""
    lanes = int(kind.removeprefix("int32x"))

    def field(value: Any, number: int, bits: int, *, signed: bool) -> Expr:
        whole = tirx.reinterpret(kind, value)
        raised = tirx.shift_left(whole, amount(32 - bits * (number + 1)))
        if signed:
            return tirx.shift_right(raised, amount(32 - bits))
        low = tirx.shift_right(whole, amount(bits * number))
        return tirx.bitwise_and(low, amount(2**bits - 1))

    def amount(value: int) -> Expr:
        return vector(tirx.const(value, "int32"), lanes)

    *start, a, b = arguments
    bits = 16 if name in MADD.values() else 8
    assert name in {*MADD.values(), *DOT.values(), SDOT}
    products = [
        field(a, number, bits, signed=name not in DOT.values())
        * field(b, number, bits, signed=True)
        for number in range(32 // bits)
    ]
    return reduce(add, [*start, *products])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", range(0, len(LAYERS), TOGETHER))
def test_layers(kind: str, first: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a cache of its own: keys do not tell what is patched."""
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path))
    extension, products = KINDS[kind]
    monkeypatch.setattr(words, "_call", written_out)
    monkeypatch.setattr(Products, "of", classmethod(lambda *_: products))
    graph, values, inputs = together(LAYERS[first : first + TOGETHER], seed=first)
    target = Unoptimised(**vars(machine(extension)))
    module = compiled(graph, values, batch=2, target=target)
    assert_same_codes(module, graph, values, inputs)
    assert {"words", "grouped words"} & {layer.family for layer in module.layers}
