"""Memory and time of the gradients of DenseNets, with and without recomputation.

    python -m benchmarks.recompute

prints planned peaks for one sample of a dense block by its depth, beside the formulas of Pleiss et
al. (2017): W H k (1 + L) L numbers if concatenations and normalised features are kept, 2 W H k L if
they share two areas.

    python -m benchmarks.recompute --measure 40 70 100 130 160 190
    python -m benchmarks.recompute --measure densenet_bc_cifar_L40_k12 --batch 32 [--turns 5]

compiles such blocks, or networks, and measures: the arena, what a process that runs steps of the
module has in memory at most, and the processor time of a step on one thread. Each measurement has
a process of its own, the two ways take turns, and medians count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import cnndsl

GROWTH, SIZE = 12, 32
DEPTHS = (40, 70, 100, 130, 160, 190)
WAYS = (None, "auto")
TEXT = """
block dense_layer(growth) {{ concat {{ identity | bn -> relu -> conv(growth, 3, bias=false) }} }}
network dense {{ input x [{growth}, {size}, {size}]
    repeat {depth} {{ dense_layer({growth}) }} }}
"""
WARM, SECONDS = 1, 3.0
"""Steps before the time is taken, and how long it is taken."""


def block(depth: int) -> cnndsl.Network:
    """A dense block alone."""
    return cnndsl.parse(TEXT.format(growth=GROWTH, size=SIZE, depth=depth))


def peaks(depth: int) -> list[int]:
    """Bytes without and with recomputation."""
    from cnndsl.autodiff.recompute import options_for
    from cnndsl.memory import peak_bytes

    graphs = [cnndsl.gradients(block(depth), None, recompute=again).graph for again in WAYS]
    return [peak_bytes(graph, options_for(graph, 1)) for graph in graphs]


def formulas(depth: int) -> tuple[int, int]:
    """Bytes of the concatenations and normalised features of a block, kept or in two areas."""
    area = 4 * SIZE * SIZE * GROWTH
    return area * (1 + depth) * depth, 2 * area * depth


def compiled(spec: str, batch: int, threads: int, folder: Path) -> list[Path]:
    """The modules of both ways, as files: with a block no loss, with a network the usual one."""
    files = []
    for way in WAYS:
        net, loss = (block(int(spec)), None) if spec.isdigit() else (cnndsl.parse(spec), "auto")
        step = cnndsl.gradients(net, loss, recompute=way, batch=batch)
        module = cnndsl.compile(step, target="cpu", seed=0, batch=batch, threads=threads)
        files.append(folder / f"{way or 'kept'}.cnnmod")
        module.save(files[-1])
    return files


def measure(file: str, threads: int) -> dict[str, float]:
    """MB of the arena and of the process, milliseconds of the median step."""
    module = cnndsl.load(file, threads=threads)
    random = np.random.default_rng(0)
    given = {p.name: random.random((p.batch or 1, *p.type.sizes), np.float32)
             for p in module.inputs}  # fmt: skip
    times: list[float] = []
    while len(times) <= WARM or sum(times[WARM:]) < SECONDS:
        start = time.process_time()
        module.run(given)
        times.append(time.process_time() - start)
    arena = int(module.facts["arena_bytes"]) / 1e6
    return {"arena": arena, "peak": peak_megabytes(), "ms": 1e3 * statistics.median(times[WARM:])}


def peak_megabytes() -> float:
    """What this process has had in memory at most; ru_maxrss also tells of what it came from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6


def measured_row(spec: str, batch: int, turns: int, threads: int) -> list[str]:
    """Arena, peak, formula and time of both ways, and how much longer the second takes."""
    with tempfile.TemporaryDirectory() as name:
        files = compiled(spec, batch, threads, Path(name))
        found: list[list[dict[str, float]]] = [[] for _ in files]
        for _ in range(turns):
            for own, file in zip(found, files, strict=True):
                command = [sys.executable, "-m", "benchmarks.recompute", "--file", str(file)]
                command += ["--threads", str(threads)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                own.append(json.loads(done.stdout.splitlines()[-1]))
    kept, again = (
        {key: statistics.median(one[key] for one in own) for key in own[0]} for own in found
    )
    arena, peak, ms = (
        [f"{way[key]:.1f}" for way in (kept, again)] for key in ("arena", "peak", "ms")
    )
    formula = [f"{n / 1e6:.1f}" for n in formulas(int(spec))] if spec.isdigit() else ["", ""]
    return [spec, *arena, *peak, *formula, *ms, f"{again['ms'] / kept['ms'] - 1:+.1%}"]


def print_measured(specs: Sequence[str], batch: int, turns: int, threads: int) -> None:
    """Print a row for each block or network."""
    memory = [f"{what} MB, {way}" for what in ("arena", "process") for way in ("kept", "again")]
    heads = [*memory, "W H k (1+L) L", "2 W H k L", "step ms, kept", "again"]
    print(f"| L or network, batch {batch} | {' | '.join(heads)} | time |")
    print(f"|---{'|---:' * (len(heads) + 1)}|")
    for spec in specs:
        print(f"| {' | '.join(measured_row(spec, batch, turns, threads))} |", flush=True)


def print_planned() -> None:
    """Print the planned peaks in megabytes."""
    print("| L | kept | W H k (1+L) L | --recompute auto | 2 W H k L |\n|---|---|---|---|---|")
    for depth in DEPTHS:
        (kept, again), (quadratic, linear) = peaks(depth), formulas(depth)
        row = (kept, quadratic, again, linear)
        print(f"| {depth} | {' | '.join(f'{n / 1e6:.1f}' for n in row)} |", flush=True)


def main() -> None:
    """Print a table; with a file, one measurement as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", nargs="+", metavar="L|NETWORK", help="Compile and run these.")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--file", help="One measurement of a module, in this process.")
    given = parser.parse_args()
    if given.file:
        print(json.dumps(measure(given.file, given.threads)))
    elif given.measure:
        print_measured(given.measure, given.batch, given.turns, given.threads)
    else:
        print_planned()


if __name__ == "__main__":
    main()
