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
from cnndsl.ir.attributes import build
from cnndsl.ir.operators import BY_NAME, Meaning
from tests.cpu.codes import assert_same_codes, together
from tests.cpu.support import Unoptimised, compiled, machine
from tests.operators.cases import Case
from tests.quantise.test_meaning import QUANTISED, meaning

IMAGES = [
    Case("conv", build(BY_NAME["conv"], {"filters": 20, **given}), ((channels, *spatial),))
    for given, channels, spatial in (
        ({"kernel": 7, "stride": 2, "pad": 3}, 3, (32, 37)),
        ({"kernel": 5, "pad": 2}, 1, (21, 19)),
        ({"kernel": 3, "pad": 1}, 2, (16, 16)),
        ({"kernel": 3, "stride": 2}, 4, (17, 33)),
        ({"kernel": 1}, 3, (16, 16)),
        ({"kernel": 11, "stride": 4}, 3, (47, 47)),
        ({"kernel": 3, "dilation": 2}, 3, (16, 16)),
        ({"kernel": 3, "pad": 1}, 3, (6, 9, 9)),
        ({"kernel": 5, "stride": 2}, 3, (40,)),
    )
]
LAYERS = [*(case for case in QUANTISED if meaning(case) is Meaning.LINEAR), *IMAGES]
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
