"""WebAssembly in Node against onnxruntime-web, one thread and 128-bit vectors on both sides.

    python -m benchmarks.wasm [NETWORK ...]
    python -m benchmarks.wasm --threads 1,2,4 [NETWORK ...]

Node and npm are needed, and the extra `cross`. onnxruntime-web gets the model that cnndsl exports.
Both take turns in one process; a ratio is that of the medians. The bar is a geometric mean of 1.3,
and outputs within 1e-4 of the largest.

With `--threads` it runs alone, on so many threads; a time is the processor time of the busiest one
for a call, by Linux's accounts, so other programs may run meanwhile. It has in it what threads look
for one another, but not what they sleep.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cnndsl

NETWORKS = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "resnet18", "shufflenet_v1_g3_1x")
BAR, TOLERANCE = 1.3, 1e-4
PACKAGE = "onnxruntime-web@1"
SCRIPT = """
import { load } from "./page/NET.js";
import * as ort from "onnxruntime-web/wasm";
import { readFile } from "node:fs/promises";
ort.env.wasm.numThreads = 1;
const network = await load(undefined, { threads: 1 });
const session = await ort.InferenceSession.create(new Uint8Array(await readFile("NET.onnx")),
  { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
const shape = network.inputs[0].shape, size = shape.reduce((a, b) => a * b, 1);
const input = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898) * 1.5);
const feed = { [session.inputNames[0]]: new ort.Tensor("float32", input, shape) };
const ours = async () => (await network.run(input))[0];
const theirs = async () => (await session.run(feed))[session.outputNames[0]].data;
const [a, b] = [await ours(), await theirs()];
const largest = b.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
const error = a.reduce((m, x, i) => Math.max(m, Math.abs(x - b[i])), 0) / largest;
const times = { ours: [], theirs: [] };
const end = performance.now() + SECONDS * 1000;
while (performance.now() < end)
  for (const [name, run] of Object.entries({ ours, theirs })) {
    const start = performance.now();
    await run();
    times[name].push(performance.now() - start);
  }
const median = (list) => list.sort((x, y) => x - y)[list.length >> 1];
console.log(JSON.stringify({ ours: median(times.ours), theirs: median(times.theirs), error }));
"""
THREADS_SCRIPT = """
import { load } from "./page/NET.js";
import { readdirSync, readFileSync } from "node:fs";
const nanoseconds = () => Object.fromEntries(readdirSync("/proc/self/task").map((thread) =>
  [thread, Number(readFileSync(`/proc/self/task/${thread}/schedstat`, "utf8").split(" ")[0])]));
const found = [];
for (const threads of [THREADS]) {
  const network = await load(undefined, { threads });
  const shape = network.inputs[0].shape, size = shape.reduce((a, b) => a * b, 1);
  const input = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898) * 1.5);
  for (let run = 0; run < 10; run++) await network.run(input);
  const before = nanoseconds(), end = performance.now() + SECONDS * 1000;
  let runs = 0;
  for (; performance.now() < end; runs++) await network.run(input);
  const spent = Object.entries(nanoseconds()).map(([thread, time]) => time - (before[thread] ?? 0));
  found.push(Math.max(...spent) / runs / 1e6);
  network.dispose();
}
console.log(JSON.stringify(found));
"""


def run_in_node(script: str, name: str, folder: Path, **words: object) -> Any:
    """What a script prints last, as JSON; `words` stand in it for their names."""
    for word, value in {"NET": name, **words}.items():
        script = script.replace(word, str(value))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.mjs").write_text(script)
    done = subprocess.run(
        ["node", "run.mjs"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure_threads(networks: Sequence[str], threads: str, seconds: float) -> None:
    """Print a table of the processor times."""
    counts = [int(count) for count in threads.split(",")]
    print("| network |", " | ".join(f"{count} threads" for count in counts), "|")
    print("|---" * (len(counts) + 1) + "|")
    for name in networks:
        with tempfile.TemporaryDirectory() as scratch:
            cnndsl.compile(name, "wasm", seed=0, batch=1).save(Path(scratch) / "page")
            words = {"THREADS": threads, "SECONDS": seconds}
            times = run_in_node(THREADS_SCRIPT, name, Path(scratch), **words)
        print(f"| {name} |", " | ".join(f"{time:.2f} ms" for time in times), "|", flush=True)


def measure(name: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Milliseconds of both, and the largest difference of the outputs."""
    cnndsl.compile(name, "wasm", seed=0, batch=1).save(folder / "page")
    cnndsl.compile(name, "onnx", seed=0, batch=1).save(folder / f"{name}.onnx")
    found: dict[str, Any] = run_in_node(SCRIPT, name, folder, SECONDS=seconds)
    return found


def main() -> int:
    """Print a table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", help="numbers of threads, with commas between")
    asked = parser.parse_args()
    if asked.threads:
        measure_threads(asked.networks, asked.threads, asked.seconds)
        return 0
    ratios, worst = [], 0.0
    print("| network | onnxruntime-web | cnndsl | ratio | error |\n|---|---|---|---|---|")
    for name in asked.networks:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "package.json").write_text('{"type": "module"}')
            subprocess.run(["npm", "install", "--silent", PACKAGE], cwd=folder, check=True)
            row = measure(name, folder, asked.seconds)
        ratios.append(row["theirs"] / row["ours"])
        worst = max(worst, row["error"])
        times = f"{row['theirs']:.2f} ms | {row['ours']:.2f} ms"
        print(f"| {name} | {times} | {ratios[-1]:.2f} | {row['error']:.1e} |", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"\ngeometric mean {mean:.2f}, bar {BAR}; largest error {worst:.1e}, bar {TOLERANCE}")
    return int(mean < BAR or worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
