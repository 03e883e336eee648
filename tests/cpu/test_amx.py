"""Kernels by AMX: their instructions, and what they compute where those are emulated."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

import cnndsl
from cnndsl.backends.cpu import BACKEND, machine
from cnndsl.backends.cpu.build import needed
from cnndsl.backends.cpu.codegen import amx
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME, assembly
from cnndsl.backends.cpu.machine import AMX, find_machine
from cnndsl.backends.cpu.program import functions
from cnndsl.backends.cpu.program.functions import kernels
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.backends.cpu.tuning import peak
from cnndsl.backends.native.packing import aligned
from cnndsl.diagnostics import CnnError
from cnndsl.ir.attributes import build
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.types import BFLOAT16
from cnndsl.passes.pipeline import optimise
from cnndsl.quantise.floats import stored_as
from cnndsl.quantise.precision import on_codes
from cnndsl.weights.bind import bind
from tests.cpu import bfloat16 as short
from tests.cpu import codes
from tests.cpu.amx import EMULATOR, count, emulate, emulated
from tests.cpu.support import compiled
from tests.cpu.test_generated_code import loops_of
from tests.operators.cases import Case

TEXT = """
network small {
    input image [3, 19, 18]
    conv(37, 5, stride=2) -> relu
    add { conv(37, 3) -> relu -> conv(37, 1, bias=true) | identity } -> relu
    conv(40, 3, stride=2) -> relu -> fc(40)
}
"""
PREACTIVATED = """
network small {
    input image [3, 9, 11]
    conv(21, 3) -> concat { identity | bn -> relu -> conv(37, 1) }
    bn -> relu -> conv(21, 1) -> add { conv(33, 3, pad=1) | conv(33, 1) } -> silu -> maxpool(2)
    fc(40) -> fc(40)
}
"""
Together = Callable[[list[Case], int], tuple[Graph, Any, Any]]
KINDS: dict[str, Together] = {"tdpbusd": codes.together, "tdpbf16ps": short.together}


def layer(name: str, shape: tuple[int, ...], **given: Any) -> Case:
    return Case(name, build(BY_NAME[name], given), (shape,))


def coded(text: str) -> Graph:
    """A network on codes."""
    network = cnndsl.parse(text)
    (image,) = network.inputs.values()
    x = np.random.default_rng(0).normal(size=(4, *image.sizes)).astype(np.float32)
    found = cnndsl.calibrate(network, [{"image": x}], seed=0)
    return on_codes(network.graph, found, level=2)[1]


@pytest.mark.parametrize("instruction", KINDS)
def test_four_sums_stay_in_tiles(instruction: str) -> None:
    """In the innermost loop each tile that is loaded is multiplied twice."""
    case = layer("conv", (512, 28, 28), filters=128, kernel=3, pad=1)
    target = replace(find_machine("sapphirerapids"), cores=2)
    graph = KINDS[instruction]([case], 1)[0]
    (step,) = (step for step in lower(graph, 1, target).steps if step.node == "y0")
    assert step.kernel.family == "amx"
    code = assembly([f for unit in kernels([step]) for f in unit.write()], target)
    loops = [body for body in loops_of(code) if instruction in body]
    assert loops
    for body in loops:
        products = re.findall(rf"{instruction}\s+(%tmm\d), (%tmm\d), (%tmm\d)", body)
        assert {total for *_, total in products} == {f"%tmm{n}" for n in range(4)}
        assert len(re.findall("tileload", body)) == len(products)
        assert "rsp" not in body
        assert "tilestore" not in body
    assert code.count("ldtilecfg") == code.count("tilerelease") == 1


def test_codes_are_those_of_the_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a network with odd channels, strides, a residual and rests of tiles, on two threads."""
    emulate(monkeypatch, tmp_path)
    graph = coded(TEXT)
    values = bind(graph.parameters(), None, seed=0).values
    module = compiled(graph, values, batch=2, target=emulated())
    image = np.random.default_rng(1).normal(size=(2, 3, 19, 18)).astype(np.float32)
    codes.assert_same_codes(module, graph, values, {"image": image})
    assert [layer.family for layer in module.layers].count("amx") == 5
    assert count(module, "products") > 0
    assert count(module, "held") == 0


def test_bfloat16_is_within_a_step_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With prologues, and channels that lack in the last word of a block."""
    emulate(monkeypatch, tmp_path)
    network = cnndsl.parse(PREACTIVATED)
    graph = stored_as(optimise(network.graph, fusions=BACKEND.fusions)[0], BFLOAT16)
    values = bind(graph.parameters(), None, seed=0).values
    module = compiled(graph, values, batch=2, target=emulated())
    image = np.random.default_rng(0).normal(size=(2, 3, 9, 11)).astype(np.float32)
    short.assert_near(module, graph, values, {"image": image})
    assert [layer.family for layer in module.layers].count("amx") == 4
    assert count(module, "products") > 0


def test_the_emulator_does_as_numpy(tmp_path: Path) -> None:
    path = tmp_path / "amx.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, EMULATOR], check=True)
    tiles = ctypes.CDLL(str(path))
    rng = np.random.default_rng(0)
    rows, words, columns = 11, 9, 16
    settings = bytes(amx.configuration([(rows, columns), (rows, words), (words, columns)]))
    for kind in (np.uint8, bfloat16):
        size = 4 // np.dtype(kind).itemsize
        if kind is np.uint8:
            a = rng.integers(0, 256, (rows, words, size)).astype(np.uint8)
            b = rng.integers(-128, 128, (words, columns, size)).astype(np.int8)
            total = rng.integers(-(2**20), 2**20, (rows, columns)).astype(np.int32)
        else:
            a = rng.normal(size=(rows, words, size)).astype(bfloat16)
            b = rng.normal(size=(words, columns, size)).astype(bfloat16)
            total = rng.normal(size=(rows, columns)).astype(np.float32)
        exact = np.einsum("mks,kns->mn", a.astype(float), b.astype(float)) + total
        tiles.emulated_ldtilecfg(settings)
        for tile, array in enumerate((total, a, b)):
            stride = ctypes.c_int64(array.nbytes // len(array))
            tiles.emulated_tileloadd64(tile, ctypes.c_void_p(array.ctypes.data), stride)
        product = tiles.emulated_tdpbusd if kind is np.uint8 else tiles.emulated_tdpbf16ps
        product(0, 1, 2)
        tiles.emulated_tilestored64(0, ctypes.c_void_p(total.ctypes.data), ctypes.c_int64(64))
        np.testing.assert_allclose(total, exact, rtol=1e-5, atol=1e-5 if size == 2 else 0)


def test_a_system_that_does_not_permit_tiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every call of the system with the number -1 fails."""
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))
    runtime = tmp_path / RUNTIME.name
    text = RUNTIME.read_text()
    assert "SYS_arch_prctl" in text
    runtime.write_text(text.replace("SYS_arch_prctl", "-1"))
    monkeypatch.setattr(functions, "RUNTIME", runtime)
    function = peak.multiply_adds(8, 1)
    arrays = [aligned(peak.CHAINS * 8), aligned(16)]
    peak.library_of(function, find_machine(), 1, arrays)
    with pytest.raises(CnnError, match=r"E0727.*does not permit AMX.*not implemented"):
        peak.library_of(function, find_machine(), 1, arrays, (AMX[0],))


def test_tiles_that_a_virtual_machine_hides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path))
    known = find_machine("sapphirerapids")
    answer = known.cpu, known.extension, [*known.features]
    monkeypatch.setattr(machine, "_ask_llvm", lambda *_: answer)
    monkeypatch.setattr(machine, "host_features", lambda: frozenset(known.features))
    assert {*AMX} <= {*find_machine().features}
    monkeypatch.setattr(machine, "host_features", lambda: frozenset({"avx512f"}))
    assert {*known.features} - {*find_machine().features} == {*AMX}


def test_modules_without_tiles_need_none() -> None:
    target = replace(find_machine("sapphirerapids"), cores=2)
    for kind, used in ((KINDS["tdpbusd"], {"amx-int8"}), (KINDS["tdpbf16ps"], {"amx-bf16"})):
        case = layer("conv", (64, 8, 8), filters=64, kernel=1)
        program = lower(kind([case], 1)[0], 1, target)
        assert {*needed(program, target).features} & {*AMX} == {"amx-tile", *used}
    plain = cnndsl.parse("network n {\n    input x [64, 8, 8]\n    conv(64, 1)\n}\n")
    program = lower(plain.graph, 1, target)
    assert not {*needed(program, target).features} & {*AMX}


def test_which_layers_are_computed_by_tiles() -> None:
    """Those that have enough positions, and channels that fill words."""
    cases = {
        "amx": layer("conv", (64, 14, 14), filters=64, kernel=3, pad=1),
        "depthwise": layer("conv", (64, 14, 14), filters=64, kernel=3, pad=1, groups=64),
        "grouped words": layer("conv", (64, 14, 14), filters=64, kernel=3, pad=1, groups=16),
        "words": layer("fc", (512,), units=512),
    }
    graph = codes.together([*cases.values()], 1)[0]
    for cpu, replaced in (("sapphirerapids", {}), ("icelake-server", {"amx": "words"})):
        steps = lower(graph, 1, replace(find_machine(cpu), cores=2)).steps
        found = [step.kernel.family for step in steps if step.node.startswith("y")]
        assert found == [replaced.get(name, name) for name in cases]
