"""Files, weights, threads and errors of compiled modules."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save_file

from cnndsl.backends.cpu import BACKEND, features
from cnndsl.backends.cpu import build as compiling
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.lower import Program, lower
from cnndsl.backends.cpu.runtime.library import Library, available_cores
from cnndsl.backends.native.artefact import read_artefact
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array
from tests.cpu.support import EXACT, WINOGRAD, assert_agrees, compiled
from tests.onnx.support import small_net, start, then
from tests.operators.cases import parameter_values

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return optimise(small_net(), fusions=BACKEND.fusions)[0]


@pytest.fixture(scope="module")
def module(graph: Graph) -> CpuModule:
    return compiled(graph, parameter_values(graph, 0))


@pytest.fixture
def saved(module: CpuModule, tmp_path: Path) -> Path:
    path = tmp_path / "net.cnnmod"
    module.save(path)
    return path


def test_a_saved_module_computes_the_same(module: CpuModule, saved: Path):
    loaded = BACKEND.load(saved, threads=1)
    assert loaded.inputs == module.inputs
    assert loaded.outputs == module.outputs
    assert loaded.metadata == module.metadata
    np.testing.assert_array_equal(loaded(IMAGE), module(IMAGE))


def test_equal_modules_give_equal_files(module: CpuModule, saved: Path, tmp_path: Path):
    BACKEND.load(saved).save(tmp_path / "again.cnnmod")
    assert (tmp_path / "again.cnnmod").read_bytes() == saved.read_bytes()


def test_weights_are_packed_as_safetensors(saved: Path):
    weights = read_artefact(saved, lambda artefact: artefact.weights)
    assert weights.ctypes.data % 64 == 0
    with zipfile.ZipFile(saved) as archive:
        tensors = load_safetensors(archive.read("weights.safetensors"))
    assert sum(tensor.size for tensor in tensors.values()) == weights.size


def test_loading_needs_the_runtime_only(saved: Path):
    program = (
        "import sys; from pathlib import Path; from cnndsl.backends.cpu import BACKEND;"
        f"BACKEND.load(Path({str(saved)!r})); assert 'tvm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_core_gets_a_thread(saved: Path):
    program = (
        "import os; from pathlib import Path; import numpy as np;"
        "from cnndsl.backends.cpu import BACKEND;"
        f"module = BACKEND.load(Path({str(saved)!r}));"
        "before = len(os.listdir('/proc/self/task'));"
        "module(np.zeros((1, 3, 8, 8), np.float32));"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == len(os.sched_getaffinity(0)) - 1


def test_other_weights_need_no_compilation(graph: Graph, saved: Path, tmp_path: Path):
    loaded = BACKEND.load(saved)
    assert isinstance(loaded, CpuModule)
    values = parameter_values(graph, 7)
    save_file({name: array.astype(np.float32) for name, array in values.items()}, tmp_path / "w.st")
    loaded.set_weights(tmp_path / "w.st")
    assert_agrees(loaded, graph, values, {"image": IMAGE})
    with pytest.raises(CnnError, match="missing"):
        loaded.set_weights({})


def test_a_running_call_finishes_with_the_old_weights(
    graph: Graph, saved: Path, monkeypatch: pytest.MonkeyPatch
):
    """Though others are set after its first sample."""
    loaded, others = BACKEND.load(saved), parameter_values(graph, 7)
    assert isinstance(loaded, CpuModule)
    before, run = loaded(IMAGE), Library.run

    def run_and_change(library: Library, buffers: Sequence[Array]) -> None:
        run(library, buffers)
        loaded.set_weights(others)

    monkeypatch.setattr(Library, "run", run_and_change)
    np.testing.assert_array_equal(loaded(IMAGE), before)
    assert_agrees(loaded, graph, others, {"image": IMAGE})


def test_threads_do_not_disturb_each_other(module: CpuModule):
    images = [np.roll(IMAGE, shift, -1) for shift in range(8)]
    expected = [module(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(module, images * 10))
    for index, result in enumerate(results):
        np.testing.assert_array_equal(result, expected[index % 8])


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_computes_the_same(module: CpuModule, saved: Path, threads: int):
    np.testing.assert_array_equal(BACKEND.load(saved, threads)(IMAGE), module(IMAGE))


def test_memory_of_results_is_used_again_when_nobody_holds_them(
    module: CpuModule, monkeypatch: pytest.MonkeyPatch
):
    expected = module(IMAGE).copy()
    monkeypatch.setattr("cnndsl.backends.cpu.loans.LARGE", 0)
    first = module(IMAGE)
    place, row = first.ctypes.data, first[1:]
    np.testing.assert_array_equal(first, expected)
    assert module(IMAGE).ctypes.data != place
    del first
    second = module(-IMAGE)
    assert second.ctypes.data != place
    np.testing.assert_array_equal(row, expected[1:])
    del row, second
    place = module(IMAGE).ctypes.data
    third = module(IMAGE)
    assert third.ctypes.data == place
    np.testing.assert_array_equal(third, expected)
    assert module(IMAGE[:1]).shape[0] == 1
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: module(IMAGE), range(32)):
            np.testing.assert_array_equal(result, expected)


def test_modules_with_different_numbers_of_threads_take_turns(module: CpuModule, saved: Path):
    """The workers of a calling thread are those of all modules; none may wait for more of them."""
    modules = [BACKEND.load(saved, threads) for threads in (1, 2, 3)]
    expected = module(IMAGE)
    for _ in range(5):
        for loaded in (*modules, module):
            np.testing.assert_array_equal(loaded(IMAGE), expected)


def test_the_work_is_divided_among_the_threads_that_are_asked_for(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
):
    cores = []

    def watched(graph: Graph, batch: int, machine: Machine, *rest: Any) -> Program:
        cores.append(machine.cores)
        return lower(graph, batch, machine, *rest)

    monkeypatch.setattr(compiling, "lower", watched)
    for threads in (3, None):
        BACKEND.compile(graph, parameter_values(graph, 0), CompileOptions(threads=threads))
    assert cores == [3, available_cores()]


@pytest.mark.parametrize("member", ["library.so", "recipe.json", "weights.safetensors"])
def test_a_changed_file_is_an_error(saved: Path, member: str):
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        info = archive.getinfo(member)
    content[info.header_offset + 30 + len(member) + info.file_size - 8] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CnnError, match="damaged") as caught:
        BACKEND.load(saved)
    assert caught.value.diagnostics[0].code == "E0603"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_an_error(saved: Path, share: float):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CnnError, match="is not a compiled module, or damaged"):
        BACKEND.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"sha256": None},
        {"inputs": [1]},
        {"program": {"arena": "x"}},
        {"program": {"features": [], "batch": math.inf}},
        {"program": {"features": [], "batch": 1, "arena": 4, "layers": [{}], "tensors": []}},
        {"metadata": {"a": 1}},
        {"metadata": []},
        {"target": "reference"},
    ],
)
def test_a_wrong_manifest_is_an_error(saved: Path, change: dict[str, object]):
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | change).encode()
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(CnnError, match="is not a compiled module, or damaged"):
        BACKEND.load(saved)


def test_a_network_without_parameters_can_be_saved(tmp_path: Path):
    graph, x = start(3, 4, 4)
    then(graph, "y", "relu", x)
    graph.outputs = {"out": "y"}
    compiled(graph, {}).save(tmp_path / "net.cnnmod")
    image = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    found = BACKEND.load(tmp_path / "net.cnnmod")(image)
    np.testing.assert_array_equal(found, np.maximum(image, 0))


def test_nodes_of_the_network_keep_their_names():
    """The copies of inputs and outputs are called x.in and y.out, if nothing else is."""
    graph, x = start(3, 4, 4, name="x")
    y = then(graph, "y.out", "conv", x, filters=4, kernel=1)
    then(graph, "x.in", "relu", y)
    graph.outputs = {"y": "x.in"}
    values = parameter_values(graph, 0)
    assert_agrees(compiled(graph, values), graph, values, {"x": IMAGE[:, :, :4, :4]})


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(CnnError, match="cannot read"):
        BACKEND.load(tmp_path / "none.cnnmod")


def test_a_cpu_without_the_features_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "host_features", lambda: frozenset({"avx"}))
    with pytest.raises(CnnError, match="needs a CPU with") as caught:
        BACKEND.load(saved)
    assert caught.value.diagnostics[0].code == "E0723"


def test_without_a_linker_is_an_error(graph: Graph, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CnnError, match="no C compiler"):
        BACKEND.compile(graph, parameter_values(graph, 0), CompileOptions())


def test_a_module_for_another_cpu_can_be_saved_but_not_run(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = CpuOptions(mcpu="x86-64-v4")
    module = BACKEND.compile(graph, parameter_values(graph, 0), options)
    module.save(tmp_path / "wide.cnnmod")
    program = read_artefact(tmp_path / "wide.cnnmod", lambda artefact: artefact.program)
    assert "avx512f" in program["features"]
    monkeypatch.setattr(features, "host_features", lambda: frozenset({"avx2", "fma"}))
    with pytest.raises(CnnError, match="avx512f"):
        module(IMAGE)


def test_winograd_can_be_turned_off():
    graph, x = start(32, 16, 16)
    then(graph, "y", "conv", x, filters=32, kernel=3)
    graph.outputs = {"out": "y"}
    values = parameter_values(graph, 0)
    inputs = {"image": np.random.default_rng(1).normal(size=(1, 32, 16, 16))}
    sizes = []
    for winograd in (True, False):
        module = BACKEND.compile(graph, values, CpuOptions(winograd=winograd))
        assert isinstance(module, CpuModule)
        assert_agrees(module, graph, values, inputs, WINOGRAD if winograd else EXACT)
        sizes.append(module.weight_bytes)
    assert sizes[0] > sizes[1]
