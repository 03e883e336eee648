"""The cpu target against onnxruntime and OpenVINO: time of one call, each alone in a process.

Usage: python benchmarks/cpu.py [--threads N] [--batch N] [--seconds S] [NETWORK ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

BARS = {
    "vgg16": 2.3, "resnet18": 1.6, "resnet34": 1.6, "resnet50": 1.2, "se_resnet50": 1.2,
    "resnext50_32x4d": 1.1, "densenet121": 1.35, "squeezenet1_0": 1.4, "alexnet_grouped": 1.2,
    "inception_v3": 1.25, "inception_v4": 1.25, "inception_resnet_v2": 1.15, "xception": 1.1,
    "mobilenet_v1": 1.1, "shufflenet_v1_g3_1x": 1.5, "resnet20_cifar": 1.3, "googlenet": 1.5,
}  # fmt: skip
"""How many times faster than the faster of the others each network should be."""

RIVALS = ("onnx", "openvino")


def main() -> None:
    """Print a line for each network, and the geometric mean of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(BARS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runtime", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runtime:
        (network,) = options.networks
        print(json.dumps(measure(network, options)))
        return
    rivals = [name for name in RIVALS if name == "onnx" or importlib.util.find_spec(name)]
    print(f"{'network':22}{'cpu ms':>10}" + "".join(f"{r + ' ms':>13}" for r in rivals)
          + f"{'ratio':>8}{'bar':>6}{'peak MB':>10}")  # fmt: skip
    ratios = []
    for network in options.networks:
        ours = run_alone(network, "cpu", options)
        others = [run_alone(network, rival, options) for rival in rivals]
        ratio = min(other["ms"] for other in others) / ours["ms"]
        ratios.append(ratio)
        times = "".join(f"{other['ms']:13.2f}" for other in others)
        bar = BARS.get(network, 1.0)
        print(f"{network:22}{ours['ms']:10.2f}{times}{ratio:8.2f}{bar:6.2f}{ours['peak']:10.1f}")
    print(f"geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")


def run_alone(network: str, runtime: str, options: argparse.Namespace) -> dict[str, float]:
    """The measurement of one runtime in a process of its own."""
    command = [
        sys.executable, __file__, network, "--runtime", runtime, "--threads", str(options.threads),
        "--batch", str(options.batch), "--seconds", str(options.seconds),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(network: str, options: argparse.Namespace) -> dict[str, float]:
    """Median milliseconds of a call, and the process's peak memory in MB."""
    call = prepare(network, options.runtime, options.threads, options.batch)
    end = time.perf_counter() + options.seconds
    times: list[float] = []
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return {"ms": statistics.median(times[len(times) // 5 :]) * 1e3, "peak": peak_memory()}


def prepare(network: str, runtime: str, threads: int, batch: int) -> Callable[[], object]:
    """A call of a network with random weights."""
    import cnndsl

    target = "cpu" if runtime == "cpu" else "onnx"
    fixed = batch if target == "cpu" else None
    module = cnndsl.compile(network, target, seed=0, threads=threads, batch=fixed)
    port = module.inputs[0]
    shape = (batch, *(int(str(size)) for size in module.declared_type(port).shape))
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if runtime != "openvino":
        return lambda: module.run({port.name: image})
    return with_openvino(module, image, threads)


def with_openvino(module: object, image: np.ndarray, threads: int) -> Callable[[], object]:
    """The ONNX model run by OpenVINO in float32."""
    import openvino

    core = openvino.Core()
    model = core.read_model(module.serialized)  # type: ignore[attr-defined]
    model.reshape(list(image.shape))
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer([image])


def peak_memory() -> float:
    """Largest resident memory of this process, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
