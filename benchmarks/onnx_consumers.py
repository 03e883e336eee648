"""Which runtimes and converters take the exported models, and whether they agree.

    python -m benchmarks.onnx_consumers [CONSUMER ...] [--opset N] [--models FOLDER]

Each consumer is installed by pip into an environment of its own under `build/consumers`. It runs
all models, cases of each operator and small networks with sizes that are known, and its outputs
are compared with those of numpy in float64. This file runs in those environments too, which have
numpy, but no cnndsl.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path("build/consumers")
TOLERANCE = 1e-4
"""Largest error, relative to the largest number of an output."""
SECONDS = 120
"""What a model may take."""

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Consumer:
    """What pip installs, and how a model is run there."""

    title: str
    packages: tuple[str, ...]
    run: Callable[[Path, Arrays], list[Any]]


def run_onnxruntime(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    results: list[Any] = session.run(None, inputs)
    return results


def run_openvino(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order, computed in float32."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = model(inputs)
    return [results[port] for port in model.outputs]


def run_opencv(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    net = cv2.dnn.readNetFromONNX(str(path))
    for name, array in inputs.items():
        net.setInput(array, name)
    made = net.getUnconnectedOutLayersNames()
    found = dict(zip((name.split("!")[-1] for name in made), net.forward(made), strict=True))
    return [found.get(name, found[made[0].split("!")[-1]]) for name in _output_names(path)]


def run_mnn(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order, after a conversion."""
    import MNN

    names = _output_names(path)
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "model.mnn"
        # The command `mnnconvert` installs a package and reports what it converts.
        tool = (sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)")
        _call(*tool, "-f", "ONNX", "--modelFile", path, "--MNNModel", converted, "--bizCode", "x")
        net = MNN.nn.load_module_from_file(str(converted), list(inputs), names)
        given = [_mnn_variable(MNN.expr, array) for array in inputs.values()]
        results = net.forward(given)
        return [_mnn_array(MNN.expr, result) for result in results]


def _mnn_variable(expr: Any, array: Any) -> Any:
    return expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, expr.float)


def _mnn_array(expr: Any, variable: Any) -> Any:
    order = expr.convert(variable, expr.NCHW)
    return np.array(order.read()).reshape(order.shape)


def run_ncnn(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order, after a conversion by pnnx.

    ncnn's arrays have no batch axis where pnnx knows which one it is. It does not in a model that
    has only operators of any axes; the script it writes says so.
    """
    import ncnn

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "m.onnx"
        model.write_bytes(path.read_bytes())
        shapes = ",".join(str(list(a.shape)).replace(" ", "") for a in inputs.values())
        tool = Path(sys.executable).with_name("pnnx")
        _call(tool, model, f"inputshape={shapes}", "fp16=0", cwd=folder)
        net = ncnn.Net()
        net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
        net.load_param(f"{folder}/m.ncnn.param")
        net.load_model(f"{folder}/m.ncnn.bin")
        extractor = net.create_extractor()
        axes = re.findall(r"batch_index=(\d+)", Path(f"{folder}/m_ncnn.py").read_text())
        given, made = map(int, axes[: len(inputs)]), map(int, axes[len(inputs) :])
        for name, array, axis in zip(net.input_names(), inputs.values(), given, strict=True):
            extractor.input(name, ncnn.Mat(array, batch_index=axis).clone())
        found = [extractor.extract(name) for name in net.output_names()]
        if any(code for code, _ in found):
            raise RuntimeError("ncnn cannot compute an output")
        return [
            mat.numpy(batch_index=axis).copy() for (_, mat), axis in zip(found, made, strict=True)
        ]


def run_tract(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order."""
    import tract

    model = tract.onnx().load(str(path)).into_model().into_runnable()
    return [output.to_numpy() for output in model.run(list(inputs.values()))]


def run_onnx2torch(path: Path, inputs: Arrays) -> list[Any]:
    """All outputs in order. For two operators it imports torchvision, whose build may not fit."""
    from unittest import mock

    sys.modules.update({"torchvision": mock.Mock(), "torchvision.ops": mock.Mock()})
    import onnx2torch
    import torch

    with torch.no_grad():
        found = onnx2torch.convert(str(path)).eval()(*map(torch.from_numpy, inputs.values()))
    return [part.numpy() for part in (found if isinstance(found, list | tuple) else [found])]


def _output_names(path: Path) -> list[str]:
    return list(np.load(path.with_suffix(".npz"))["output_names"])


def _call(*command: object, cwd: str | None = None) -> None:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RuntimeError(f"exit {done.returncode}: {' / '.join(lines[-2:])}")


def _runtime(version: str) -> Consumer:
    numpy = "numpy<2" if version < "1.19" else "numpy"
    return Consumer(f"onnxruntime {version}", (f"onnxruntime=={version}.*", numpy), run_onnxruntime)


CONSUMERS = {
    "ort115": _runtime("1.15"),
    "ort118": _runtime("1.18"),
    "ort121": _runtime("1.21"),
    "ort124": _runtime("1.24"),
    "ort": Consumer("onnxruntime", ("onnxruntime", "numpy"), run_onnxruntime),
    "openvino": Consumer("OpenVINO", ("openvino", "numpy"), run_openvino),
    "tract": Consumer("tract", ("tract", "numpy"), run_tract),
    "cv4": Consumer("OpenCV 4", ("opencv-python-headless<5", "numpy"), run_opencv),
    "cv5": Consumer("OpenCV 5", ("opencv-python-headless>=5", "numpy"), run_opencv),
    "mnn": Consumer("MNN", ("MNN", "numpy"), run_mnn),
    "ncnn": Consumer("ncnn", ("ncnn", "pnnx", "numpy"), run_ncnn),
    "o2t": Consumer("onnx2torch", ("torch==2.13.0", "onnx2torch", "numpy"), run_onnx2torch),
}

NETWORKS = {
    "audio_1d": None, "bn_inception": 64, "densenet_cifar_L40_k12": 32, "depthwise_separable": None,
    "grouped_shuffled": None, "hybrid_dilation": None, "lenet5_paper": None, "lenet5_rbf_out": None,
    "locally_connected": None, "mobilenet_v1_050": 64, "mobilenet_v2": 64, "multi_size": None,
    "preact_resnet110_cifar": 32, "recurrent": None, "resnet18": 64, "resnet18_a": 64,
    "resnet20_cifar": 32, "resnet56_stochastic_depth": 32, "resnext_forms": None,
    "se_shufflenet_v1_g3_1x": 64, "sobel": None, "squeezenet1_1": 64, "tiled": None, "unet": 64,
    "volume_3d": None,
}  # fmt: skip
"""Networks of the zoo, with the sizes of their maps, the declared ones by default."""


def export(folder: Path, opset: int | None) -> list[Path]:
    """Write each model, and beside it its inputs and the outputs of numpy."""
    folder.mkdir(parents=True, exist_ok=True)
    return [*_export_operators(folder, opset), *_export_networks(folder, opset)]


def _export_operators(folder: Path, opset: int | None) -> Iterator[Path]:
    """The first case of each operator on a map of two axes, or on what it takes."""
    from cnndsl.backends.numpy.run import run_graph
    from cnndsl.backends.onnx import BACKEND
    from cnndsl.backends.onnx.options import OnnxOptions
    from tests.operators.cases import CASES, Case

    chosen: dict[str, Case] = {}
    for case in sorted(CASES, key=lambda case: len(case.shapes[0]) != 3):
        chosen.setdefault(case.operator.name, case)
    for name, case in sorted(chosen.items()):
        graph, values = case.graph(), case.values()
        inputs = {key: array[:1].astype(np.float32) for key, array in case.inputs().items()}
        module = BACKEND.compile(graph, values, OnnxOptions(batch=1, opset=opset))
        path = folder / f"op_{name}.onnx"
        module.save(path)
        _write_arrays(path, inputs, run_graph(graph, values, inputs))
        yield path


def _export_networks(folder: Path, opset: int | None) -> Iterator[Path]:
    import cnndsl
    from benchmarks.passes import at_size
    from benchmarks.weights import calibrated_weights
    from cnndsl.backends.numpy.run import run_graph
    from cnndsl.passes.pipeline import inference_graph

    for name, size in NETWORKS.items():
        network = cnndsl.parse(name) if size is None else at_size(name, size)
        weights = calibrated_weights(network.graph)
        module = cnndsl.compile(network, weights=weights, batch=1, opset=opset)
        rng = np.random.default_rng(0)
        sizes = {port.name: [1, *map(int, str(port.type).split("x"))] for port in module.inputs}
        inputs = {n: rng.normal(size=shape).astype(np.float32) for n, shape in sizes.items()}
        path = folder / f"net_{name}.onnx"
        module.save(path)
        _write_arrays(path, inputs, run_graph(inference_graph(network.graph), weights, inputs))
        yield path


def _write_arrays(path: Path, inputs: Arrays, outputs: Arrays) -> None:
    numbered = {f"output_{i}": array for i, array in enumerate(outputs.values())}
    given = {f"input_{name}": array for name, array in inputs.items()}
    np.savez(path.with_suffix(".npz"), output_names=list(outputs), **given, **numbered)


def judge(path: Path, run: Callable[[Path, Arrays], list[Any]]) -> str:
    """What a consumer makes of a model: nothing if it agrees, else the reason."""
    arrays = dict(np.load(path.with_suffix(".npz")))
    inputs = {k.removeprefix("input_"): a for k, a in arrays.items() if k.startswith("input_")}
    expected = [arrays[f"output_{i}"] for i in range(len(arrays["output_names"]))]
    try:
        found = run(path, inputs)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return f"failed: {type(error).__name__}: {' '.join(lines)[:160]}"
    for ours, theirs in zip(expected, found, strict=False):
        if np.squeeze(ours).shape != np.squeeze(theirs).shape:
            return f"differs: shape {theirs.shape} for {ours.shape}"
        largest = np.abs(np.squeeze(ours) - np.squeeze(theirs)).max() / np.abs(ours).max()
        if not largest <= TOLERANCE:
            return f"differs: error {largest:.1e}"
    return "" if len(found) == len(expected) else f"differs: {len(found)} outputs"


def serve(consumer: str, paths: Sequence[str]) -> None:
    """Judge models in the environment of a consumer, one line of JSON for each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for path in paths:
        print(
            json.dumps([path, judge(Path(path), CONSUMERS[consumer].run)]), file=answers, flush=True
        )


def try_consumer(name: str, models: Sequence[Path]) -> dict[Path, str]:
    """The verdict on each model; a process that dies is started again behind the model."""
    python = _environment(name)
    verdicts: dict[Path, str] = {}
    while len(verdicts) < len(models):
        rest = [str(model) for model in models if model not in verdicts]
        command = [str(python), __file__, "--serve", name, *rest]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS + 10 * len(rest)
            )
            lines, ended = done.stdout, f"died: exit {done.returncode}"
        except subprocess.TimeoutExpired as late:
            lines, ended = (late.stdout or b"").decode(), "died: too slow"
        for line in lines.splitlines():
            path, verdict = json.loads(line)
            verdicts[Path(path)] = verdict
        if len(verdicts) < len(models):
            verdicts.setdefault(next(m for m in models if m not in verdicts), ended)
    return verdicts


def _environment(name: str) -> Path:
    """The interpreter of the consumer's environment, which is made if there is none."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *CONSUMERS[name].packages]
        subprocess.run(pip, check=True)
        (folder / "installed").touch()
    return python.absolute()


def main() -> None:
    """Print a line for each consumer, then what failed and why."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("consumers", nargs="*", choices=[[], *CONSUMERS])
    parser.add_argument("--opset", type=int, help="the oldest that will do by default")
    parser.add_argument("--models", type=Path, default=FOLDER / "models")
    given = parser.parse_args()
    models = export(given.models, given.opset)
    print(f"{len(models)} models\n\n{'consumer':20} {'loaded':>6} {'agreed':>6}")
    problems = []
    for name in given.consumers or CONSUMERS:
        title = CONSUMERS[name].title
        try:
            verdicts = try_consumer(name, models)
        except subprocess.CalledProcessError as error:
            print(f"{title:20} not installed: exit {error.returncode}", flush=True)
            continue
        loaded = sum(not v or v.startswith("differs") for v in verdicts.values())
        agreed = sum(not v for v in verdicts.values())
        print(f"{title:20} {loaded:6} {agreed:6}", flush=True)
        problems += [f"{title:18} {model.stem:26} {v}" for model, v in verdicts.items() if v]
    print("", *problems, sep="\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3:])
    else:
        main()
