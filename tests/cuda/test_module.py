"""Files, weights, the driver and errors of compiled modules."""

from __future__ import annotations

import ctypes
import gc
import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cnndsl.backends.cuda import BACKEND, driver, toolchain
from cnndsl.backends.cuda.kernel import Launch
from cnndsl.backends.cuda.machine import runs_on
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.cuda.objects import make_code
from cnndsl.backends.cuda.options import CudaOptions
from cnndsl.backends.cuda.source import Source
from cnndsl.cli.main import main
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.measure.bench import LayerTimes
from cnndsl.measure.layers import layer_reports
from cnndsl.measure.runtimes import Job
from cnndsl.measure.worker import Runner
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.backend import CompileOptions
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.onnx.support import small_net, start, then
from tests.operators.cases import parameter_values

TOO_LARGE = Launch((1, 1 << 20, 1), 32)
IMAGE = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return optimise(small_net(), fusions=BACKEND.fusions)[0]


@pytest.fixture(scope="module")
def module(emulator: Emulator, graph: Graph) -> CudaModule:
    return emulator.module(graph, parameter_values(graph, 0), 2, "f16")


@pytest.fixture
def saved(module: CudaModule, tmp_path: Path) -> Path:
    path = tmp_path / "net.cnnmod"
    module.save(path)
    return path


def loaded(path: Path) -> CudaModule:
    found = BACKEND.load(path)
    assert isinstance(found, CudaModule)
    return found


def code_of(error: pytest.ExceptionInfo[CnnError]) -> str:
    return error.value.diagnostics[0].code


def test_a_saved_module_computes_the_same(module: CudaModule, saved: Path):
    again = loaded(saved)
    assert again.inputs == module.inputs
    assert again.outputs == module.outputs
    assert again.metadata == module.metadata
    assert again.layers == module.layers
    np.testing.assert_array_equal(again(IMAGE[:2]), module(IMAGE[:2]))


def test_equal_modules_give_equal_files(saved: Path, tmp_path: Path):
    loaded(saved).save(tmp_path / "again.cnnmod")
    assert (tmp_path / "again.cnnmod").read_bytes() == saved.read_bytes()


def test_kernels_are_listed_in_the_order_of_the_program(
    emulator: Emulator, graph: Graph, monkeypatch: pytest.MonkeyPatch
):
    """Whatever order they come in: some from the cache, others compiled."""
    values = parameter_values(graph, 0)
    listed = list(emulator.module(graph, values).resources)
    code = emulator.code
    monkeypatch.setattr(
        emulator, "code", lambda sources, _: (dict([*code(sources)[0].items()][::-1]), 0)
    )
    assert list(emulator.module(graph, values).resources) == listed


def test_calls_and_layers_are_timed_on_the_device(saved: Path, monkeypatch: pytest.MonkeyPatch):
    runner = Runner(Job("cuda", saved, {"image": (2, 3, 8, 8)}, threads=1))
    monkeypatch.setattr(CudaModule, "run", lambda *_: pytest.fail("arrays are copied"))
    assert all(seconds > 0 for seconds in runner.run(0.01))
    monkeypatch.undo()
    layers = loaded(saved).layers
    assert all(len(times) == len(layers) for times in runner.layers(0.0))
    reports = layer_reports(layers, LayerTimes((1.0,) * len(layers), runner.machine_peak()))
    assert [report.bound for report in reports] == [None] * len(layers)


def test_a_graph_and_single_launches_compute_the_same(emulator: Emulator, graph: Graph):
    values = parameter_values(graph, 0)
    modules = [emulator.module(graph, values, graph=flag) for flag in (True, False)]
    results = [[module(IMAGE), module(-IMAGE), module(IMAGE)] for module in modules]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0][0], results[0][2])
    assert_agrees(modules[0], graph, values, {"image": IMAGE}, TOLERANCE["f32"])


def test_a_graph_is_kept_for_the_buffers_of_each_name(module: CudaModule):
    """The same address for an input and for an output is not the same call."""
    device = module.session
    image, result = (module.batch_shape(port) for port in (*module.inputs, *module.outputs))
    buffer = device.allocate(4 * math.prod(image))
    try:
        numbers = np.frombuffer(
            (ctypes.c_float * math.prod(image)).from_address(buffer), np.float32
        )
        numbers[:] = IMAGE[:2].ravel()
        expected = module(-IMAGE[:2])
        module.run_on_device({"image": buffer})
        module.run({"image": -IMAGE[:2]})
        module.run_on_device({module.outputs[0].name: buffer})
        np.testing.assert_array_equal(numbers[: math.prod(result)], expected.ravel())
    finally:
        device.free(buffer)


def test_everything_on_the_gpu_is_given_back(emulator: Emulator, graph: Graph):
    library = ctypes.CDLL(driver.LIBRARY)
    gc.collect()
    before = library.emulated_live()
    module = emulator.module(graph, parameter_values(graph, 0), 2)
    module(IMAGE[:2])
    module.time_layers({"image": IMAGE[:2]})
    assert library.emulated_live() > before
    del module
    gc.collect()
    assert library.emulated_live() == before


def test_a_failed_launch_ends_the_capture(module: CudaModule, monkeypatch: pytest.MonkeyPatch):
    expected = module(IMAGE[:2])
    device = module.session
    with monkeypatch.context() as patch:
        patch.setattr(device, "_tasks", [replace(t, launch=TOO_LARGE) for t in device._tasks])
        with pytest.raises(CnnError, match="cuLaunchKernel failed"):
            module.run_on_device({"image": IMAGE.ctypes.data})
    np.testing.assert_array_equal(module(IMAGE[:2]), expected)


def test_other_weights_need_no_compilation(graph: Graph, saved: Path, tmp_path: Path):
    again = loaded(saved)
    before = again(IMAGE[:2])
    values = parameter_values(graph, 7)
    save_file({name: array.astype(np.float32) for name, array in values.items()}, tmp_path / "w.st")
    again.set_weights(tmp_path / "w.st")
    assert_agrees(again, graph, values, {"image": IMAGE[:2]}, TOLERANCE["f16"])
    assert np.abs(again(IMAGE[:2]) - before).max() > 0.1
    with pytest.raises(CnnError, match="missing"):
        again.set_weights({})


def test_weights_in_halves_take_half_the_memory(emulator: Emulator):
    graph, x = start(64, 4, 4)
    then(graph, "y", "fc", x, units=128, bias=False)
    graph.outputs = {"out": "y"}
    values = parameter_values(graph, 0)
    floats, halves = (emulator.module(graph, values, precision=p) for p in ("tf32", "f16"))
    assert floats.weight_bytes == 4 * 64 * 16 * 128
    assert halves.weight_bytes == 2 * 64 * 16 * 128


def test_weights_too_large_for_halves_are_an_error(emulator: Emulator, graph: Graph):
    values = {name: 1e5 * array for name, array in parameter_values(graph, 0).items()}
    with pytest.raises(CnnError, match="not finite"):
        emulator.module(graph, values, precision="f16")


def test_layers_have_times_and_the_macs_of_the_network(module: CudaModule, graph: Graph):
    times = module.time_layers({"image": IMAGE[:2]})
    assert len(times) == len(module.layers)
    macs = sum(node.op.macs(graph.input_types(node), node.type) for node in graph.nodes())
    assert sum(layer.macs for layer in module.layers) == 2 * macs


def test_without_a_driver_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "LIBRARY", "libnone.so.1")
    with pytest.raises(CnnError, match="no NVIDIA driver") as caught:
        loaded(saved)(IMAGE[:2])
    assert code_of(caught) == "E0742"


def test_without_a_gpu_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMULATED_DEVICES", "0")
    with pytest.raises(CnnError, match="no NVIDIA GPU") as caught:
        loaded(saved)(IMAGE[:2])
    assert code_of(caught) == "E0742"


def test_another_gpu_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMULATED_CAPABILITY", "80")
    with pytest.raises(CnnError, match="made for sm_90, but the GPU is sm_80") as caught:
        loaded(saved)(IMAGE[:2])
    assert code_of(caught) == "E0743"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EMULATED_DEVICES", "0", "no NVIDIA GPU can be used here"),
        ("EMULATED_CAPABILITY", "80", "made for sm_90, but the GPU is sm_80"),
        ("EMULATED_MEGABYTES", "0", "the GPU has too little free memory"),
    ],
)
def test_what_lacks_is_one_line_on_the_command_line(
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    message: str,
):
    np.save(tmp_path / "image.npy", IMAGE[:2])
    monkeypatch.setenv(variable, value)
    assert main(["run", str(saved), "--input", str(tmp_path / "image.npy")]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("error[") == 1
    assert "Traceback" not in errors


def test_a_wrong_architecture_is_one_line_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "net.cnnmod"
    command = ["compile", "lenet5", "--target", "cuda", "--seed", "0", "--arch", "sm_70"]
    assert main([*command, "-o", str(output)]) == 2
    errors = capsys.readouterr().err
    assert "the GPU architecture 'sm_70' is too old" in errors
    assert errors.count("error[") == 1
    assert not output.exists()


def test_code_runs_within_its_generation():
    assert runs_on("sm_80", (8, 9))
    assert not runs_on("sm_89", (8, 6))
    assert not runs_on("sm_90", (10, 0))
    assert runs_on("sm_100", (10, 3))
    assert runs_on("sm_120", (12, 0))


def test_too_little_memory_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMULATED_MEGABYTES", "0")
    with pytest.raises(CnnError, match="too little free memory") as caught:
        loaded(saved)(IMAGE[:2])
    assert code_of(caught) == "E0744"


def test_a_kernel_that_is_not_there_is_an_error(module: CudaModule):
    found = driver.Driver()
    loaded_code = found.load(next(iter(module.cubins.values())), ExitStack())
    with pytest.raises(CnnError, match="cuModuleGetFunction failed: named symbol not found"):
        found.function(loaded_code, "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "sm_70"}, "too old"),
        ({"arch": "gfx90a"}, "not known"),
        ({"precision": "f8"}, "unknown precision"),
    ],
)
def test_wrong_options_are_errors(graph: Graph, options: dict[str, str], message: str):
    with pytest.raises(CnnError, match=message):
        BACKEND.compile(graph, parameter_values(graph, 0), CudaOptions(**options))


def test_without_a_compiler_is_an_error(graph: Graph, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toolchain, "find_tool", lambda name: None)
    monkeypatch.setenv("CNNDSL_CACHE", "off")
    with pytest.raises(CnnError, match="no nvcc") as caught:
        BACKEND.compile(graph, parameter_values(graph, 0), CompileOptions())
    assert code_of(caught) == "E0741"
    assert "pip install" in str(caught.value.diagnostics[0].hint)


BROKEN = """#!/bin/sh
[ "$1" = --version ] && exit
echo 'kernels.cu: error: no space left' >&2
exit 1
"""


def test_a_failing_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("nvcc", "ptxas"):
        broken = tmp_path / name
        broken.write_text(BROKEN)
        broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(CnnError, match=r"nvcc failed: .*no space left"):
        make_code({"kernel": Source("text", "sm_90")})
