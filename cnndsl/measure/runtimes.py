"""The runtimes that are measured: modules by their target, and others that run ONNX models."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.backend import backend
from cnndsl.runtime.module import Array, Module

Call = Callable[[], Any]


@dataclass(frozen=True)
class Job:
    """What a runtime is to run: a file on random inputs of these shapes, batch first, by name.

    `runtime` is a target, or one of RIVALS. Those that can run on a GPU do with `on_gpu`, in the
    `precision` f32, tf32 or f16.
    """

    runtime: str
    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    threads: int
    on_gpu: bool = False
    precision: str = "f32"


@dataclass(frozen=True)
class Rival:
    """Another runtime: its package, and a call of an ONNX model on some inputs."""

    package: str
    prepare: Callable[[Job, Mapping[str, Array]], Call]


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
    """A request to a model that OpenVINO compiled for these shapes, for latency, in float32."""
    import openvino

    core = openvino.Core()
    model = core.read_model(job.path)
    model.reshape({name: list(array.shape) for name, array in arrays.items()})
    settings = {
        "INFERENCE_NUM_THREADS": job.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
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


RIVALS = {
    "onnxruntime": Rival("onnxruntime", with_onnxruntime),
    "openvino": Rival("openvino", with_openvino),
    "torch": Rival("torch", with_torch),
}
