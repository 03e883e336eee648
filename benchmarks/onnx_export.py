"""What onnxruntime finds to improve in exported models: nodes before and after, and the speed.

    python -m benchmarks.onnx_export [NETWORK ...] [--level 2] [--batch N]
    python -m benchmarks.onnx_export --speed NETWORK ... [--rounds 50]

The first form counts the nodes of each network of the zoo as exported, and those that
onnxruntime's basic optimiser leaves, which keeps to standard operators. The second compares the
default level with -O0, both with all that onnxruntime does by itself: each in a process of its
own, one run of the one after one run of the other, on one thread. The times are those of the
processor, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import onnx
import onnxruntime

import cnndsl
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import DEFAULT_LEVEL, LEVELS

VERSION: str = onnxruntime.__version__


def operators(model: bytes) -> Counter[str]:
    """How many nodes of each operator a serialised model has."""
    return _count(onnx.load_model_from_string(model))


def operators_left(model: bytes) -> Counter[str]:
    """How many nodes of each operator onnxruntime's basic optimiser leaves."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    weights_file = "session.optimized_model_external_initializers_file_name"
    options.add_session_config_entry(weights_file, "weights.bin")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return _count(onnx.load(path, load_external_data=False))


def _count(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def difference(exported: Counter[str], left: Counter[str]) -> str:
    """What is gone and what is new, as `-2 Identity, +1 Conv`; empty if they are equal."""
    kinds = sorted(exported.keys() | left.keys())
    changes = [(left[kind] - exported[kind], kind) for kind in kinds]
    return ", ".join(f"{count:+} {kind}" for count, kind in changes if count)


def print_nodes(networks: Sequence[str], level: int, batch: int | None) -> list[str]:
    """Print one line for each network; returns those that onnxruntime changes."""
    changed, count = [], 0
    print(f"{'network':34} {'nodes':>5}  {'left':>4}  difference")
    for name in networks:
        try:
            module = cnndsl.compile(name, seed=0, level=level, batch=batch)
        except CnnError as error:
            print(f"{name:34} left out: {error.diagnostics[0].message}", flush=True)
            continue
        assert isinstance(module, OnnxModule)
        exported, left = operators(module.serialized), operators_left(module.serialized)
        count += 1
        changed += [name] if exported != left else []
        totals = f"{exported.total():5}  {left.total():4}"
        print(f"{name:34} {totals}  {difference(exported, left)}".rstrip(), flush=True)
    print(f"{count} networks, {len(changed)} of them changed by onnxruntime {VERSION}")
    return changed


def print_speeds(networks: Sequence[str], rounds: int) -> None:
    """Print the medians of both levels, and ratios: of medians, quartiles, of the fastest runs."""
    levels = f"{'-O0':>9}  {f'-O{DEFAULT_LEVEL}':>9}"
    print(f"onnxruntime {VERSION}, 1 thread, batch 1, {rounds} runs of each")
    print(f"{'network':34} {levels}  ratio  quartiles  fastest")
    for name in networks:
        with _runner(name, 0) as plain, _runner(name, DEFAULT_LEVEL) as ours:
            pairs = [(plain(), ours()) for _ in range(rounds)]
        befores, afters = zip(*pairs, strict=True)
        before, after = median(befores), median(afters)
        low, _, high = quantiles([second / first for first, second in pairs], n=4)
        times = f"{before * 1e3:6.2f} ms  {after * 1e3:6.2f} ms"
        ratios = f"{after / before:5.2f}  {low:.2f}-{high:.2f}  {min(afters) / min(befores):7.2f}"
        print(f"{name:34} {times}  {ratios}", flush=True)


@contextmanager
def _runner(network: str, level: int) -> Iterator[Callable[[], float]]:
    """A network in a process of its own; each call runs it once and returns the seconds."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, network, level), daemon=True)
    process.start()

    def seconds() -> float:
        ours.send(None)
        return float(ours.recv())

    try:
        seconds()
        yield seconds
    finally:
        process.terminate()
        process.join()


def _serve(requests: Connection, network: str, level: int) -> None:
    module = cnndsl.compile(network, seed=0, level=level, threads=1)
    rng = np.random.default_rng(0)
    inputs = {}
    for port in module.inputs:
        sizes = [size for size in module.declared_type(port).shape if isinstance(size, int)]
        inputs[port.name] = rng.normal(size=(1, *sizes)).astype(np.float32)
    module.run(inputs)
    while True:
        requests.recv()
        start = time.process_time()
        module.run(inputs)
        requests.send(time.process_time() - start)


def main() -> None:
    """Print the tables; exit 1 if onnxruntime changes a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--level", type=int, choices=LEVELS, default=DEFAULT_LEVEL)
    parser.add_argument("--batch", type=int, help="any by default")
    parser.add_argument("--speed", nargs="+", metavar="NETWORK", help="compare with -O0")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    if given.speed:
        print_speeds(given.speed, given.rounds)
        return
    changed = print_nodes(given.networks or sorted(cnndsl.zoo()), given.level, given.batch)
    raise SystemExit(f"changed: {', '.join(changed)}" if changed else 0)


if __name__ == "__main__":
    main()
