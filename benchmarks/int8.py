"""int8 on the target cpu against other runtimes' int8 and against our float32.

    python -m benchmarks.int8 [--threads N] [--batch N] [--seconds S] [--mcpu CPU] [NETWORK ...]

The rivals, onnxruntime and OpenVINO as far as they are installed, get the QDQ model of the same
codes. Each runtime runs alone in its process, in turns; times are medians in ms. Ratios over 1 say
how many times longer the faster rival takes, and our float32 module. Then come the memory of arena
and weights and the processor time of a compilation without a cache, as shares of float32's. Weights
and the calibration are random: no time depends on them.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import cnndsl
from cnndsl.measure.bench import Timing, measure
from cnndsl.measure.runtimes import RIVALS, Job
from cnndsl.runtime.module import Module

NETWORKS = ("resnet18", "resnet50", "mobilenet_v2", "squeezenet1_0")
USUAL = ("onnxruntime", "openvino")


def compiled(network: cnndsl.Network, cache: Path, **options: Any) -> tuple[Any, float]:
    """A module for this CPU, and the processor seconds that it took without a cache."""
    os.environ["CNNDSL_CACHE"] = str(cache)
    start = time.process_time()
    module = cnndsl.compile(network, "cpu", seed=0, **options)
    return module, time.process_time() - start


def row(name: str, rivals: list[str], given: argparse.Namespace, folder: Path) -> list[float]:
    """Print the line of a network, and return both ratios."""
    network = cnndsl.parse(name)
    shapes = {n: (given.batch, *kind.sizes) for n, kind in network.inputs.items()}
    rng = np.random.default_rng(0)
    images = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    codes: dict[str, Any] = {
        "precision": "int8",
        "calibration": cnndsl.calibrate(network, [images], seed=0),
    }
    sized = {"threads": given.threads, "batch": given.batch, "mcpu": given.mcpu}
    low, low_seconds = compiled(network, folder / f"{name}-int8", **codes, **sized)
    exact, exact_seconds = compiled(network, folder / f"{name}-f32", **sized)
    model = cnndsl.compile(network, "onnx", seed=0, batch=given.batch, **codes)
    jobs = [
        job("cpu", low, folder / "int8.cnnmod", shapes, given.threads),
        job("cpu", exact, folder / "f32.cnnmod", shapes, given.threads),
        *(job(rival, model, folder / "qdq.onnx", shapes, given.threads) for rival in rivals),
    ]
    own, floats, *others = measure(jobs, given.seconds).timings
    ratios = [min((own.ratio(other) for other in others), default=1.0), own.ratio(floats)]
    memory = (low.arena_bytes + low.weight_bytes) / (exact.arena_bytes + exact.weight_bytes)
    cells = [f"{median(timing):.2f}" for timing in (own, floats, *others)]
    cells += [f"{ratio:.2f}" for ratio in ratios]
    cells += [f"{memory:.2f}", f"{low_seconds / exact_seconds:.2f}"]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return ratios


def median(timing: Timing) -> float:
    """Milliseconds."""
    return timing.percentile(50) * 1e3


def job(
    runtime: str, model: Module, path: Path, shapes: dict[str, tuple[int, ...]], threads: int
) -> Job:
    """A module in a file, for a runtime."""
    model.save(path)
    return Job(runtime, path, shapes, threads)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--mcpu", default="native")
    given = parser.parse_args()
    rivals = [name for name in USUAL if importlib.util.find_spec(RIVALS[name].package)]
    heads = ["network", "int8", "f32", *rivals, "rivals / int8", "f32 / int8", "memory", "compile"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        found = [row(name, rivals, given, Path(folder)) for name in given.networks]
    first, second = (
        math.exp(statistics.fmean(map(math.log, ratios))) for ratios in zip(*found, strict=True)
    )
    print(f"geometric means: rivals / int8 {first:.2f}, f32 / int8 {second:.2f}")


if __name__ == "__main__":
    main()
