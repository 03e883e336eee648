"""Object code is kept between compilations, and never kept too long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.codegen import objects
from cnndsl.backends.cpu.features import host_model
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.layers import Build
from cnndsl.runtime.options import CompileOptions
from tests.cpu.support import assert_agrees, compiled
from tests.onnx.support import small_net, start, then
from tests.operators.cases import parameter_values

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
LOWER_WITHOUT_TVM = """
import sys
sys.modules["tvm"] = None
import cnndsl
from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.program.lower import lower
from cnndsl.backends.cpu.machine import Machine
from cnndsl.passes.pipeline import inference_graph, optimise
for name in sys.argv[1:]:
    graph, _ = optimise(inference_graph(cnndsl.parse(name).graph), fusions=BACKEND.fusions)
    assert lower(graph, 1, Machine("haswell", "avx2", (), 2)).steps
"""
COMPILE = """
import sys, cnndsl
module = cnndsl.compile("lenet5", target="cpu", seed=0)
module.save(sys.argv[1])
print(module.build.functions, module.build.hits, "tvm" in sys.modules, "tvm.relax" in sys.modules)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return optimise(small_net(), fusions=BACKEND.fusions)[0]


def build(graph: Graph, seed: int = 0, extension: str | None = None) -> Build:
    """Compiles, checks what is computed, and tells how the code was made."""
    values = parameter_values(graph, seed)
    module = compiled(graph, values, extension=extension)
    assert_agrees(module, graph, values, {"image": IMAGE})
    assert module.build is not None
    return module.build


def test_the_second_time_nothing_is_built(graph: Graph):
    first, second = build(graph), build(graph, seed=1)
    assert first.functions > 2
    assert first == Build(first.functions, 0, 0)
    assert second == Build(first.functions, first.functions, 0)


def test_progress_counts_functions(graph: Graph):
    def steps() -> list[tuple[str, int, int]]:
        told: list[tuple[str, int, int]] = []
        options = CompileOptions(progress=lambda *step: told.append(step))
        BACKEND.compile(graph, parameter_values(graph, 0), options)
        return told

    first = steps()
    total = len(first) - 1
    assert total > 2
    assert first == [("compiling", done, total) for done in range(total + 1)]
    assert steps() == [("compiling", total, total)]


def test_each_machine_has_kernels_of_its_own(graph: Graph):
    """What is in C, the runtime and a table of the same steps, is common to all."""
    build(graph, extension="avx2")
    assert build(graph, extension="scalar").hits == 1


def test_changed_sources_need_new_code(graph: Graph, monkeypatch: pytest.MonkeyPatch):
    build(graph)
    monkeypatch.setattr(objects, "compiler", lambda: ("another", "compiler"))
    assert build(graph).hits == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_damaged_code_is_built_again(graph: Graph, folder: Path, share: float):
    total = build(graph).functions
    for path in (folder / "objects").glob("*/*"):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
    assert build(graph).hits == 0
    assert build(graph).hits == total


@pytest.mark.parametrize("place", ["off", "/proc/none"])
def test_the_cache_is_not_needed(graph: Graph, place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CNNDSL_CACHE", place)
    assert build(graph).hits == 0
    assert build(graph).hits == 0


def test_plain_loops_are_told():
    graph, x = start(3, 8, 8)
    then(graph, "y", "local_conv", x, filters=4, kernel=3)
    graph.outputs = {"out": "y"}
    assert build(graph).fallbacks == 1


def test_machines_are_remembered(monkeypatch: pytest.MonkeyPatch):
    asked = find_machine("x86-64-v3")
    monkeypatch.setattr(
        "cnndsl.backends.cpu.machine._ask_llvm", lambda cpu, target: ("none", "avx2", [])
    )
    assert (find_machine("x86-64-v3") == asked) is bool(host_model())
    monkeypatch.setattr("cnndsl.backends.cpu.machine.host_model", lambda: "another CPU")
    assert find_machine("x86-64-v3").cpu == "none"


def test_choosing_kernels_needs_no_compiler():
    networks = ["alexnet", "densenet121", "googlenet", "lenet5", "resnet18", "shufflenet_v1_g3_1x"]
    subprocess.run([sys.executable, "-c", LOWER_WITHOUT_TVM, *networks], check=True)


def test_processes_share_the_cache(tmp_path: Path):
    def command(name: str) -> list[str]:
        return [sys.executable, "-c", COMPILE, str(tmp_path / name)]

    both = [subprocess.Popen(command(name)) for name in ("a.cnnmod", "b.cnnmod")]
    assert [process.wait() for process in both] == [0, 0]
    done = subprocess.run(command("c.cnnmod"), check=True, capture_output=True, text=True)
    functions, hits, *imported = done.stdout.split()
    assert (hits, imported) == (functions, ["False", "False"])
    contents = {path.read_bytes() for path in tmp_path.glob("*.cnnmod")}
    assert len(contents) == 1
