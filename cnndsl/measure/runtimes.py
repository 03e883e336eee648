"""The runtimes that are measured: modules by their target, and others that run ONNX models."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.backend import backend
from cnndsl.runtime.module import Array, Module

Call = Callable[[], Any]


@dataclass(frozen=True)
class Job:
    """What a runtime is to run: a file on random inputs of these shapes, batch first, by name.

    `runtime` is a target, or one of RIVALS. Those that can run on a GPU do with `on_gpu`, in the
    `precision` f32, tf32 or f16. On CPUs it is f32, bf16 or int8, which the file has by itself.
    """

    runtime: str
    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    threads: int
    on_gpu: bool = False
    precision: str = "f32"


@dataclass(frozen=True)
class Rival:
    """Another runtime: its package, and a call of an ONNX model on some inputs.

    `environment` are variables that are set before it is imported, unless they are already.
    """

    package: str
    prepare: Callable[[Job, Mapping[str, Array]], Call]
    environment: Mapping[str, str] = field(default_factory=dict)


def check_installed(runtime: str) -> None:
    """Raise CnnError for a rival that there is not (E0730), or that is not installed (E0731)."""
    if runtime not in RIVALS:
        known = ", ".join(RIVALS)
        raise CnnError.of(
            "E0730", f"no runtime {runtime!r} to compare with", hint=f"one of: {known}"
        )
    package = RIVALS[runtime].package
    if importlib.util.find_spec(package) is None:
        raise CnnError.of(
            "E0731", f"{runtime} is not installed", hint=f"install it: pip install {package}"
        )


def start(runtime: str) -> None:
    """Import what a runtime needs."""
    if runtime in RIVALS:
        for name, value in RIVALS[runtime].environment.items():
            os.environ.setdefault(name, value)
        importlib.import_module(RIVALS[runtime].package)
    else:
        backend(runtime).start()


def load(job: Job) -> Module:
    """The module of a job of one of our targets. Raises CnnError."""
    return backend(job.runtime).load(job.path, job.threads)


def with_onnxruntime(job: Job, arrays: Mapping[str, Array]) -> Call:
    """A session with all of onnxruntime's optimisations, as it is set up by default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(
        str(job.path), options, providers=["CPUExecutionProvider"]
    )
    feeds = dict(arrays)
    return lambda: session.run(None, feeds)


def with_openvino(job: Job, arrays: Mapping[str, Array]) -> Call:
    """A request to a model that OpenVINO compiled for these shapes, for latency.

    In float32 or bfloat16. What the codes of a model leave in float is in OpenVINO's default, which
    is bfloat16 where the CPU multiplies such.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(job.path)
    model.reshape({name: list(array.shape) for name, array in arrays.items()})
    settings = {
        "INFERENCE_NUM_THREADS": job.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    if job.precision != "int8":
        settings["INFERENCE_PRECISION_HINT"] = "bf16" if job.precision == "bf16" else "f32"
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    feeds = dict(arrays)
    return lambda: request.infer(feeds)


def with_torch(job: Job, arrays: Mapping[str, Array]) -> Call:
    """The model by `torch.compile` with max-autotune, which includes CUDA graphs on a GPU.

    Tensors lie channels last, those of inputs and results on the device.
    """
    import torch

    torch.set_num_threads(job.threads)
    exact = job.precision != "tf32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    torch.backends.cudnn.allow_tf32 = not exact
    device = "cuda" if job.on_gpu else "cpu"
    dtype = torch.float16 if job.precision == "f16" else torch.float32
    module: Any = backend("torch").load(job.path)
    network = module.network.to(device, dtype, memory_format=torch.channels_last)
    names = [port.name for port in module.inputs]
    inputs = [torch.from_numpy(arrays[name]).to(device, dtype) for name in names]
    inputs = [x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs]
    compiled = torch.compile(network, mode="max-autotune")

    def call() -> None:
        with torch.inference_mode():
            compiled(*inputs)
        if job.on_gpu:
            torch.cuda.synchronize()

    return call


def with_ncnn(job: Job, arrays: Mapping[str, Array]) -> Call:
    """An extractor of what pnnx converts, which takes one sample at a time, in float32.

    Its threads wait for one another after each operator: they spin for 0.1 ms at most, which is
    enough where each has a core. By default they spin for tens of ms before they sleep: where
    another process had the core of one of them, LeNet-5 took 500 ms and not 0.15.
    """
    import ncnn

    if any(len(array) != 1 for array in arrays.values()):
        raise ValueError("ncnn has no batches")
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        model = Path(folder, "m.onnx")
        model.write_bytes(job.path.read_bytes())
        shapes = ",".join(str([*array.shape]).replace(" ", "") for array in arrays.values())
        _convert(_program("pnnx"), model, f"inputshape={shapes}", "fp16=0", cwd=folder)
        net = ncnn.Net()
        net.opt.num_threads = job.threads
        net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
        net.load_param(f"{folder}/m.ncnn.param")
        net.load_model(f"{folder}/m.ncnn.bin")
    names = zip(net.input_names(), arrays.values(), strict=True)
    inputs = {name: ncnn.Mat(np.ascontiguousarray(array[0])).clone() for name, array in names}

    def call() -> None:
        extractor = net.create_extractor()
        for name, mat in inputs.items():
            extractor.input(name, mat)
        for name in net.output_names():
            code, _ = extractor.extract(name)
            if code:
                raise RuntimeError(f"ncnn cannot compute {name}")

    return call


def with_mnn(job: Job, arrays: Mapping[str, Array]) -> Call:
    """A module of MNN's of what its converter makes, in float32."""
    import MNN
    import onnx

    outputs = [port.name for port in onnx.load(job.path).graph.output]
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        made = Path(folder, "model.mnn")
        tool = (sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)")
        _convert(*tool, "-f", "ONNX", "--modelFile", job.path, "--MNNModel", made, "--bizCode", "x")
        config = {"backend": "CPU", "numThread": job.threads, "precision": "high"}
        manager = MNN.nn.create_runtime_manager((config,))
        net = MNN.nn.load_module_from_file(
            str(made), list(arrays), outputs, runtime_manager=manager, shape_mutable=False
        )
    expr = MNN.expr
    inputs = [
        expr.const(np.ascontiguousarray(array), list(array.shape), expr.NCHW, expr.float)
        for array in arrays.values()
    ]

    def call() -> None:
        for result in net.forward(inputs):
            result.read()

    return call


def _program(package: str) -> Path:
    """The program of its own name in a package that would import much."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: pip install {package}")
    return Path(spec.origin).with_name(package)


def _convert(*command: str | Path, cwd: str | None = None) -> None:
    """Run a converter, whose last words are the error if it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        raise RuntimeError(f"{Path(command[0]).name} failed: {words[-1]}")


RIVALS = {
    "mnn": Rival("MNN", with_mnn),
    "ncnn": Rival("ncnn", with_ncnn, {"GOMP_SPINCOUNT": "1000"}),
    "onnxruntime": Rival("onnxruntime", with_onnxruntime),
    "openvino": Rival("openvino", with_openvino),
    "torch": Rival("torch", with_torch),
}
