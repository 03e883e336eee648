"""int8 or bf16 on the target cpu against other runtimes in the same, and against our float32.

    python -m benchmarks.low_precision int8|bf16 [--threads N] [--batch N] [--seconds S]
                                                 [--mcpu CPU] [--json FILE] [NETWORK ...]

In int8, onnxruntime and OpenVINO, as far as they are installed, get the QDQ model of the same
codes; if NNCF is installed, OpenVINO also gets what that makes of the float32 model. In bf16
OpenVINO gets the float32 model. They may be in a folder of PYTHONPATH. Each runtime runs alone in
its process, in turns; times are medians in ms, `-` where one cannot run the network. Ratios over 1
say how many times longer the fastest rival takes, and our float32 module. Then come the memory of
arena and weights and the processor time of a compilation without a cache, as shares of float32's.
Weights and the calibration are random: no time depends on them. What FILE has of an earlier run is
not measured again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.measure.bench import measure
from cnndsl.measure.runtimes import Job
from cnndsl.quantise.collect import Settings
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.module import Array

BARS = {
    "int8": {
        "vgg16": 1.05, "resnet18": 1.1, "resnet34": 1.1, "resnet50": 1.05, "se_resnet50": 1.05,
        "resnext50_32x4d": 1.4, "densenet121": 1.3, "squeezenet1_0": 1.15, "alexnet_grouped": 1.0,
        "inception_v3": 1.15, "inception_v4": 1.15, "inception_resnet_v2": 1.0, "xception": 1.0,
        "mobilenet_v1": 1.1, "mobilenet_v2": 1.1, "shufflenet_v1_g3_1x": 1.1, "resnet20_cifar": 1.0,
        "googlenet": 1.15,
    },
    "bf16": {
        "vgg16": 1.6, "resnet18": 1.3, "resnet34": 1.3, "resnet50": 1.1, "se_resnet50": 1.1,
        "resnext50_32x4d": 1.3, "densenet121": 1.3, "squeezenet1_0": 1.2, "alexnet_grouped": 1.0,
        "inception_v3": 1.25, "inception_v4": 1.25, "inception_resnet_v2": 1.0, "xception": 1.0,
        "mobilenet_v1": 1.1, "mobilenet_v2": 1.1, "shufflenet_v1_g3_1x": 1.1, "resnet20_cifar": 1.0,
        "googlenet": 1.25,
    },
}  # fmt: skip
"""How many times faster than the fastest of the others each network should be, by precision."""
OPENVINO, NNCF = "openvino", "nncf"
RIVAL_NAMES = {"int8": ("onnxruntime", OPENVINO, NNCF), "bf16": (OPENVINO,)}
Shapes = dict[str, tuple[int, ...]]
Row = dict[str, Any]


def compiled(network: cnndsl.Network, cache: Path, **options: Any) -> tuple[Any, float]:
    """A module for this CPU, and the processor seconds that it took without a cache."""
    os.environ["CNNDSL_CACHE"] = str(cache)
    start = time.process_time()
    module = cnndsl.compile(network, "cpu", seed=0, **options)
    return module, time.process_time() - start


def measured(name: str, rivals: Sequence[str], given: argparse.Namespace, folder: Path) -> Row:
    """Milliseconds by runtime, and the shares of float32's memory and compilation."""
    network = cnndsl.parse(name)
    shapes = {n: (given.batch, *kind.sizes) for n, kind in network.inputs.items()}
    rng = np.random.default_rng(0)
    images = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    chosen: dict[str, Any] = {"precision": given.precision}
    if given.precision == "int8":
        settings = Settings(method="minmax")
        chosen["calibration"] = cnndsl.calibrate(network, [images], seed=0, settings=settings)
    sized = {"threads": given.threads, "batch": given.batch, "mcpu": given.mcpu}
    low, low_seconds = compiled(network, folder / f"{name}-low", **chosen, **sized)
    exact, exact_seconds = compiled(network, folder / f"{name}-f32", **sized)

    def job(runtime: str, path: Path, precision: str = "f32") -> Job:
        return Job(runtime, path, shapes, given.threads, precision=precision)

    low.save(folder / "low.cnnmod")
    exact.save(folder / "f32.cnnmod")
    floats = cnndsl.compile(network, "onnx", seed=0, batch=given.batch)
    floats.save(folder / "f32.onnx")
    jobs = {
        given.precision: job("cpu", folder / "low.cnnmod"),
        "f32": job("cpu", folder / "f32.cnnmod"),
    }
    if given.precision == "int8":
        codes = cnndsl.compile(network, "onnx", seed=0, batch=given.batch, **chosen)
        codes.save(folder / "qdq.onnx")
    for rival in rivals:
        if rival == NNCF:
            try:
                with_nncf(folder / "f32.onnx", images, folder / "nncf.xml")
                jobs[NNCF] = job(OPENVINO, folder / "nncf.xml", "int8")
            except Exception as error:  # of whatever kind: the table goes on
                print(f"{name}: nncf: {error}", file=sys.stderr, flush=True)
        else:
            path = folder / ("qdq.onnx" if given.precision == "int8" else "f32.onnx")
            jobs[rival] = job(rival, path, given.precision)
    memory = (low.arena_bytes + low.weight_bytes) / (exact.arena_bytes + exact.weight_bytes)
    shares = {"memory": memory, "compile": low_seconds / exact_seconds}
    return {**timed(able(name, jobs), given.precision, given.seconds), **shares}


def with_nncf(model: Path, images: Mapping[str, Array], made: Path) -> None:
    """Write the model that NNCF's quantiser makes, as OpenVINO's own file."""
    import nncf
    import openvino

    read = openvino.Core().read_model(model)
    low = nncf.quantize(read, nncf.Dataset([dict(images)]), subset_size=1)
    openvino.save_model(low, made, compress_to_fp16=False)


def able(network: str, jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs that can be run, which ours have to be; a line tells why another cannot."""
    found = {}
    for name, own in jobs.items():
        try:
            measure([own], 0.0)
        except CnnError as error:
            if own.runtime == "cpu":
                raise
            print(f"{network}: {error.diagnostics[0].message}", file=sys.stderr, flush=True)
        else:
            found[name] = own
    return found


def timed(jobs: Mapping[str, Job], precision: str, seconds: float) -> Row:
    """Medians in milliseconds by the names of the jobs, and both ratios."""
    timings = dict(zip(jobs, measure(list(jobs.values()), seconds).timings, strict=True))
    own = timings[precision]
    ratios = [own.ratio(timings[name]) for name in jobs if name not in (precision, "f32")]
    found = {name: timing.percentile(50) * 1e3 for name, timing in timings.items()}
    return {**found, "rivals": min(ratios, default=None), "of f32": own.ratio(timings["f32"])}


def line(name: str, found: Row, heads: Sequence[str], bar: float) -> str:
    """A line of the table."""
    cells = [found.get(head) for head in heads]
    shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
    return f"| {name} | {' | '.join(shown)} | {bar:.2f} |"


def means(rows: Sequence[Row], heads: Sequence[str]) -> str:
    """The geometric means of ratios and shares."""
    found = []
    for head in heads:
        values = [row[head] for row in rows if row.get(head) is not None]
        if values:
            found.append(f"{head} {math.exp(statistics.fmean(map(math.log, values))):.2f}")
    return f"geometric means: {', '.join(found)}"


def main() -> None:
    """Print the table, network by network, and keep what is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("precision", choices=list(BARS))
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--mcpu", default="native")
    parser.add_argument("--json", type=Path, help="a JSON file to go on from")
    given = parser.parse_intermixed_args()
    bars = BARS[given.precision]
    names = given.networks or list(bars)
    rivals = [name for name in RIVAL_NAMES[given.precision] if importlib.util.find_spec(name)]
    ratios = ["rivals", "of f32", "memory", "compile"]
    heads = [given.precision, "f32", *rivals, *ratios]
    print(f"| network | {' | '.join(heads)} | bar |\n|{'---|' * (len(heads) + 2)}", flush=True)
    known: dict[str, Row] = {}
    if given.json and given.json.exists():
        known = json.loads(given.json.read_text())
    for name in names:
        if name not in known:
            with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
                known[name] = measured(name, rivals, given, Path(folder))
            if given.json:
                with atomic_write(given.json) as file:
                    file.write(json.dumps(known, indent=1).encode())
        print(line(name, known[name], heads, bars.get(name, 1.0)), flush=True)
    print(means([known[name] for name in names], ratios))


if __name__ == "__main__":
    main()
