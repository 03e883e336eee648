"""Modules of open sizes: a program for each size, kept, saved, and made anew."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.cpu import BACKEND, machine
from cnndsl.backends.cpu import open as open_module
from cnndsl.backends.cpu.open import OpenCpuModule
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.sizes import at_sizes
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.cpu.support import Unoptimised, opened
from tests.onnx.support import assert_close
from tests.operators.cases import parameter_values

TEXT = """network halves {
    input x [3, 8, 12]
    let rows = height
    let columns = width
    conv(4, 3, stride=2) -> relu
    concat { maxpool(2) -> resize(size=[rows/2, columns/2], mode="linear") | identity }
}"""
ARRAYS = {
    shape: np.random.default_rng(0).normal(size=(2, 3, *shape)).astype(np.float32)
    for shape in ((8, 12), (12, 4), (4, 8))
}


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    parameters = cnndsl.parse(TEXT).graph.parameters()
    return {n: rng.normal(size=p.shape).astype(np.float32) for n, p in parameters.items()}


@pytest.fixture(scope="module")
def module(weights) -> OpenCpuModule:
    found = cnndsl.compile(TEXT, "cpu", weights=weights, dynamic=["height", "width"])
    assert isinstance(found, OpenCpuModule)
    return found


def wanted(shape: tuple[int, int], weights) -> np.ndarray[Any, Any]:
    net = cnndsl.parse(TEXT, input_shapes={"x": (3, *shape)})
    result = cnndsl.compile(net, "reference", weights=weights)(ARRAYS[shape])
    assert isinstance(result, np.ndarray)
    return result


def test_one_module_runs_at_all_sizes_that_the_network_takes(module, weights):
    assert str(module.inputs[0]) == "x batch x 3 x 2*H x 2*W"
    for shape, x in ARRAYS.items():
        assert_close(module(x), wanted(shape, weights))
    with pytest.raises(CnnError, match=r"E0604.*7 is not 2\*H"):
        module(np.zeros((3, 7, 8), np.float32))


def test_a_saved_module_needs_no_compiler(module, weights, tmp_path: Path, monkeypatch):
    module.prepare(x=(3, 12, 4))
    module.save(tmp_path / "m.cnnmod")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    loaded = cnndsl.load(tmp_path / "m.cnnmod")
    assert isinstance(loaded, OpenCpuModule)
    for copy in (loaded, pickle.loads(pickle.dumps(loaded))):
        for shape, x in ARRAYS.items():
            assert_close(copy(x), wanted(shape, weights))
    with pytest.raises(CnnError, match="E0721"):
        loaded.prepare(x=(3, 16, 16))
    other = {name: 2 * array for name, array in weights.items()}
    loaded.set_weights(other)
    assert_close(loaded(ARRAYS[12, 4]), wanted((12, 4), other))
    loaded.save(tmp_path / "again.cnnmod")
    again = cnndsl.load(tmp_path / "again.cnnmod")
    assert_close(again(ARRAYS[8, 12]), wanted((8, 12), other))


def test_programs_are_kept_up_to_a_number(module, weights, monkeypatch):
    monkeypatch.setattr(open_module, "MOST", 1)
    for shape in ((8, 12), (12, 4)):
        assert_close(module(ARRAYS[shape]), wanted(shape, weights))
        assert module.facts["sizes"] == 1
    monkeypatch.setattr(open_module, "MOST", 2)
    module(ARRAYS[8, 12])
    assert module.facts["sizes"] == 2


def test_calls_of_all_sizes_share_memory(module, weights):
    small, large = (8, 12), (64, 72)
    x = np.ones((1, 3, *large), np.float32)
    module.limit = 2 * module.at({"H": 32, "W": 36}).arena_bytes
    module(x)
    together = module.facts["programs_bytes"]
    assert_close(module(ARRAYS[small]), wanted(small, weights))
    assert module.facts["programs_bytes"] == together > 0
    module.limit = together - 1
    assert_close(module(ARRAYS[small]), wanted(small, weights))
    assert 0 < module.facts["programs_bytes"] < together


def test_sizes_that_the_text_leaves_open(weights):
    text = TEXT.replace("[3, 8, 12]", "[3, 2*H, 2*W]")
    opened = cnndsl.compile(text, "cpu", weights=weights)
    assert_close(opened(ARRAYS[8, 12]), wanted((8, 12), weights))


def test_a_fixed_batch_needs_no_compiler_at_further_sizes(weights, tmp_path: Path, monkeypatch):
    opened = cnndsl.compile(TEXT, "cpu", weights=weights, dynamic=["height", "width"], batch=2)
    opened.save(tmp_path / "m.cnnmod")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    loaded = cnndsl.load(tmp_path / "m.cnnmod")
    assert str(loaded.inputs[0]) == "x 2 x 3 x 2*H x 2*W"
    for shape, x in ARRAYS.items():
        assert_close(loaded(x), wanted(shape, weights))
    assert loaded.facts["compiled"] == 0
    with pytest.raises(CnnError, match="E0604"):
        loaded(np.zeros((3, 3, 8, 12), np.float32))


MANY = """network many {
    input x [3, 8*H, 8*W]
    conv(16, 3) -> bn -> relu
    let fine = conv(16, 3) -> relu
    maxpool(2) -> depthwise(3) -> relu -> conv(24, 1, stride=2) -> relu
    mul { identity | global_avgpool -> fc(6) -> relu -> fc(24) -> sigmoid }
    conv_transpose(16, 2, stride=2) -> relu -> resize(factor=2, mode="linear")
    concat { identity | fine } -> conv(5, 3, dilation=2)
}"""
NOMINAL = {"H": 3, "W": 4}


@pytest.fixture(scope="module")
def many() -> tuple[OpenCpuModule, Graph, dict[str, Array]]:
    graph, _ = optimise(cnndsl.parse(MANY).graph, fusions=BACKEND.fusions)
    values = parameter_values(graph, 0)
    target = Unoptimised(**vars(machine.find_machine()))
    return opened(graph, values, NOMINAL, target), graph, values


@pytest.mark.parametrize("sizes", [(3, 4), (1, 1), (2, 7), (6, 3), (5, 5)])
def test_the_same_kernels_serve_all_sizes(many, sizes: tuple[int, int]):
    module, graph, values = many
    height, width = (8 * n for n in sizes)
    x = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    known = at_sizes(graph, dict(zip("HW", sizes, strict=True)))
    (expected,) = run_graph(known, values, {"x": x}).values()
    assert_close(module(x), expected)
    assert module.facts["compiled"] == 0


def test_neither_compiler_nor_tvm_is_loaded(many, tmp_path: Path):
    """Not even by a process that sees a module for the first time."""
    module, *_ = many
    module.save(tmp_path / "m.cnnmod")
    text = f"""
import sys
sys.modules["tvm"] = sys.modules["tvm_ffi"] = None
import numpy, cnndsl
module = cnndsl.load({str(tmp_path / "m.cnnmod")!r})
assert module(numpy.ones((3, 16, 40), numpy.float32)).shape == (5, 16, 40)
"""
    subprocess.run([sys.executable, "-c", text], check=True)


def test_weights_can_be_exchanged_at_all_sizes(many):
    module, graph, values = many
    other = {name: array * np.float32(0.5) for name, array in values.items()}
    copy = pickle.loads(pickle.dumps(module))
    copy.set_weights(other)
    x = np.random.default_rng(0).normal(size=(1, 3, 16, 24)).astype(np.float32)
    (expected,) = run_graph(at_sizes(graph, {"H": 2, "W": 3}), other, {"x": x}).values()
    assert_close(copy(x), expected)


def test_several_threads_may_call_at_different_sizes(many):
    module, *_ = many
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(1, 3, 8, 8 * n)).astype(np.float32) for n in range(1, 9)]
    alone = [module(x) for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(module, xs), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


DILATED = """network dilated {
    input x [48, H, W]
    conv(48, 3, dilation=2) -> relu -> conv(48, 3, dilation=[1, 5]) -> conv(8, 1)
}"""


def test_dilated_winograd_at_all_sizes():
    graph, _ = optimise(cnndsl.parse(DILATED).graph, fusions=BACKEND.fusions)
    values = parameter_values(graph, 0)
    module = opened(graph, values, {"H": 40, "W": 48}, Unoptimised(**vars(machine.find_machine())))
    rng = np.random.default_rng(0)
    for height, width in ((40, 48), (1, 1), (9, 31), (17, 6)):
        x = rng.normal(size=(1, 48, height, width)).astype(np.float32)
        (expected,) = run_graph(
            at_sizes(graph, {"H": height, "W": width}), values, {"x": x}
        ).values()
        program = module.at({"H": height, "W": width})
        assert [layer.family for layer in program.layers].count("winograd") == 2
        assert_close(module(x), expected)
    assert module.facts["compiled"] == 0
