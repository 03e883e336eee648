"""Modules of open sizes: a program for each size, kept, saved, and made anew."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.cpu import machine
from cnndsl.backends.cpu.open import OpenCpuModule
from cnndsl.diagnostics import CnnError
from tests.onnx.support import assert_close

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


def test_a_saved_module_needs_no_compiler_for_the_sizes_that_it_was_run_at(
    module, weights, tmp_path: Path, monkeypatch
):
    module(ARRAYS[8, 12])
    module(ARRAYS[12, 4])
    module.save(tmp_path / "m.cnnmod")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    loaded = cnndsl.load(tmp_path / "m.cnnmod")
    assert isinstance(loaded, OpenCpuModule)
    for copy in (loaded, pickle.loads(pickle.dumps(loaded))):
        for shape in ((8, 12), (12, 4)):
            assert_close(copy(ARRAYS[shape]), wanted(shape, weights))
    with pytest.raises(CnnError, match="E0721"):
        loaded(np.zeros((3, 16, 16), np.float32))
    other = {name: 2 * array for name, array in weights.items()}
    loaded.set_weights(other)
    assert_close(loaded(ARRAYS[12, 4]), wanted((12, 4), other))
    loaded.save(tmp_path / "again.cnnmod")
    again = cnndsl.load(tmp_path / "again.cnnmod")
    assert_close(again(ARRAYS[8, 12]), wanted((8, 12), other))


def test_programs_are_kept_up_to_a_limit(module, weights):
    module.limit = 0
    for shape in ((8, 12), (12, 4)):
        assert_close(module(ARRAYS[shape]), wanted(shape, weights))
        assert module.facts["sizes"] == 1
    module.limit = 1 << 20
    module(ARRAYS[8, 12])
    assert module.facts["sizes"] == 2


def test_sizes_that_the_text_leaves_open(weights):
    text = TEXT.replace("[3, 8, 12]", "[3, 2*H, 2*W]")
    opened = cnndsl.compile(text, "cpu", weights=weights)
    assert_close(opened(ARRAYS[8, 12]), wanted((8, 12), weights))
