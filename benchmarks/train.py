"""The time of a step of training by the native engine beside PyTorch's, batch 32.

    python -m benchmarks.train [--turns 5] [--threads 2] [NETWORK ...]

LeNet-5 and ResNet-20 for CIFAR without names. Both engines of `cnndsl train` take the same steps
of SGD with momentum. Each measurement has a process of its own, the engines take turns, and the
median of the turns counts. It needs PyTorch: pip install 'cnndsl[train]'.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import cnndsl
from cnndsl.recipes.optimisers import Sgd
from cnndsl.recipes.recipe import Recipe
from cnndsl.train.data import Data, Images
from cnndsl.train.loop import Loop
from cnndsl.train.plan import Plan

NETWORKS = ("lenet5", "resnet20_cifar")
ENGINES = ("native", "torch")
BATCH, CLASSES = 32, 10
WARM, SECONDS = 5, 5.0
"""Steps before the time is taken, and how long it is taken."""


def data_for(net: cnndsl.Network) -> Data:
    """A few batches of random images."""
    (kind,) = net.inputs.values()
    random = np.random.default_rng(0)
    labels = random.integers(CLASSES, size=4 * BATCH)
    images = random.normal(size=(len(labels), *kind.sizes)).astype(np.float32)
    part = Images(images, labels, kind)
    return Data(part, part, tuple(map(str, range(CLASSES))))


def loop_of(engine: str, net: cnndsl.Network, folder: str, threads: int) -> Loop:
    """What takes the steps."""
    plan = Plan(Path(folder, "weights.safetensors"), device="cpu", threads=threads)
    given = (net, data_for(net), Recipe.of(Sgd(rate=0.01)), plan)
    if engine == "native":
        from cnndsl.train.native import NativeTraining

        return NativeTraining(*given)
    import torch

    from cnndsl.train.engine import TorchTraining
    from cnndsl.train.processes import Processes

    torch.set_num_threads(threads)
    return TorchTraining(*given, Processes(1, 0, torch.device("cpu")))


def measure(engine: str, network: str, threads: int) -> dict[str, float]:
    """Milliseconds of the median step, and the largest memory of the process in MB."""
    net = cnndsl.parse(network)
    with tempfile.TemporaryDirectory() as folder:
        loop = loop_of(engine, net, folder, threads)
    loop.begin((0, 0, 0))
    times: list[float] = []
    while len(times) < WARM or sum(times[WARM:]) < SECONDS:
        first = BATCH * (len(times) % 4)
        x, labels = loop.data.train.batch(np.arange(first, first + BATCH))
        start = time.perf_counter()
        loop.step(x, labels, 0.01)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"ms": 1e3 * statistics.median(times[WARM:]), "peak": peak}


def in_turns(network: str, turns: int, threads: int) -> dict[str, list[dict[str, float]]]:
    """The measurements of each engine, every one in a process of its own."""
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    settings = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    for _ in range(turns):
        for engine in ENGINES:
            command = [sys.executable, "-m", "benchmarks.train", network]
            command += ["--engine", engine, "--threads", str(threads)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
            found[engine].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def report(networks: Sequence[str], turns: int, threads: int) -> None:
    """Print a table of medians, and the range over the turns."""
    print("| network | native ms | PyTorch ms | native / PyTorch | native MB | PyTorch MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for network in networks:
        found = in_turns(network, turns, threads)
        cells, middle, peaks = [], [], []
        for engine in ENGINES:
            times = sorted(one["ms"] for one in found[engine])
            middle.append(statistics.median(times))
            cells.append(f"{middle[-1]:.2f} ({times[0]:.2f} to {times[-1]:.2f})")
            peaks.append(f"{statistics.median(one['peak'] for one in found[engine]):.0f}")
        row = [network, *cells, f"{middle[0] / middle[1]:.2f}", *peaks]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print the table; with an engine, one measurement as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", choices=ENGINES, help="One measurement, in this process.")
    given = parser.parse_args()
    if given.engine:
        print(json.dumps(measure(given.engine, given.networks[0], given.threads)))
    else:
        report(given.networks, given.turns, given.threads)


if __name__ == "__main__":
    main()
