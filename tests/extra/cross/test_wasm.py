"""WebAssembly in Node against the reference, and its folder."""

from __future__ import annotations

import gzip
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import cnndsl
from cnndsl.backends.wasm import BACKEND
from cnndsl.backends.wasm.compile import compile_module
from cnndsl.backends.wasm.module import WasmModule
from cnndsl.backends.wasm.options import WasmOptions
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Module
from tests.cpu.support import assert_agrees
from tests.cpu.test_operators import NAMES, together
from tests.operators.cases import CASES, parameter_values
from tests.passes.random_graphs import Sample, samples

NETWORKS = ("lenet5", "mobilenet_v2", "resnet18", "shufflenet_v1_g3_1x", "squeezenet1_1")
MOST = 600_000
"""Bytes of code of a network, compressed, without its weights."""
EQUAL = """
import { load } from "./NET.js";
const count = (shape) => shape.reduce((product, size) => product * size, 1);
const given = ({ shape }) =>
  Float32Array.from({ length: count(shape) }, (_, index) => Math.sin(13 * index));
let first;
for (const threads of [1, 2, 3, 4]) {
  const network = await load(undefined, { threads });
  if (network.threads !== threads) throw new Error(`it runs on ${network.threads} threads`);
  for (let turn = 0; turn < threads; turn++) {
    const found = await network.run(...network.inputs.map(given));
    first ??= found;
    found.forEach((array, k) => array.forEach((x, i) => {
      if (!Object.is(x, first[k][i])) throw new Error(`${threads}: ${x}, not ${first[k][i]}`);
    }));
  }
  network.dispose();
}
console.log("equal");
"""
TEXT = """
network small {
    input image [3, 12, 10]
    conv(8, 3) -> relu -> global_avgpool -> fc(7)
}
"""


def in_node(folder: Path, script: str) -> list[str]:
    """The words that a script prints beside a saved module; it has to end by itself."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "test.mjs").write_text(script)
    command = ["node", "test.mjs"]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def assert_equal_on_threads(module: WasmModule):
    """Bit for bit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "network"
        module.save(folder)
        (file,) = folder.glob("*.d.ts")
        assert in_node(folder, EQUAL.replace("NET", file.name.removesuffix(".d.ts"))) == ["equal"]


@pytest.mark.parametrize("name", NAMES)
def test_operators_agree_with_the_reference(name: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    module = compile_module(graph, values, WasmOptions(batch=2))
    assert_agrees(module, graph, values, inputs)
    assert_equal_on_threads(module)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples())
def test_random_graphs_agree(sample: Sample):
    graph, _ = optimise(sample.graph, fusions=BACKEND.fusions)
    module = compile_module(graph, sample.values, WasmOptions())
    assert_agrees(module, graph, sample.values, sample.inputs, tolerance=1e-4)
    assert_equal_on_threads(module)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_and_are_small(name: str, tmp_path: Path):
    shape = (1, 32, 32) if name == "lenet5" else (3, 64, 64)
    module = cnndsl.compile(
        cnndsl.parse(name, input_shapes={"image": shape}), target="wasm", seed=0
    )
    onnx = cnndsl.compile(cnndsl.parse(name, input_shapes={"image": shape}), seed=0)
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    found, expected = module(image), onnx(image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    module.save(tmp_path / "page")
    for file in (tmp_path / "page").glob("*.wasm"):
        assert len(gzip.compress(file.read_bytes())) <= MOST
    assert_equal_on_threads(module)


@pytest.fixture(scope="module")
def compiled() -> Module:
    return cnndsl.compile(TEXT, "wasm", seed=0)


@pytest.fixture
def small(compiled: Module, tmp_path: Path) -> Path:
    """The folder of a small network."""
    compiled.save(tmp_path / "page")
    return tmp_path / "page"


def test_the_folder_holds_all_that_a_page_needs(small: Path):
    names = sorted(path.name for path in small.iterdir())
    ends = ("d.ts", "js", "threads.wasm", "wasm", "weights", "worker.js")
    assert names == ["index.html", *(f"small.{end}" for end in ends)]
    page = (small / "index.html").read_text()
    assert "http:" not in page
    assert "https:" not in page
    with pytest.raises(CnnError, match="not a module"):
        cnndsl.load(small / "small.wasm")


def test_wrong_weights_and_inputs_are_errors_in_javascript(small: Path):
    script = """
        import { load } from "./small.js";
        import { readFile } from "node:fs/promises";
        const network = await load(), weights = new Uint8Array(await readFile("small.weights"));
        const tries = [() => network.run(), () => network.run(new Float32Array(3))];
        for (const wrong of [undefined, null, "1".repeat(360)])
          tries.push(async () => {
            await network.run(wrong).catch((error) => {
              if (error.message.endsWith("has 360 numbers")) throw error;
            });
          });
        for (const place of [40, 100, weights.length - 70]) {
          const damaged = weights.slice();
          damaged[place] ^= 1;
          tries.push(() => network.setWeights(damaged));
        }
        tries.push(() => network.setWeights(weights.subarray(4)));
        for (const threads of [0, 1.5, 65, "2"]) tries.push(() => load(undefined, { threads }));
        let refused = 0;
        for (const attempt of tries) try { await attempt(); } catch (error) { refused += 1; }
        const input = new Float32Array(360).fill(1), [after] = await network.run(input);
        network.setWeights(weights);
        const same = (await network.run(input))[0].every((x, index) => x === after[index]);
        console.log(refused, tries.length, after.length, same);
        """
    assert in_node(small, script) == ["13", "13", "7", "true"]


@pytest.mark.parametrize("threads", [1, 2])
def test_networks_may_have_many_inputs_and_outputs(threads: int, tmp_path: Path):
    lines = [f"input x{i} [2, 3]\noutput y{i} = x{i} -> scale(2)" for i in range(300)]
    text = "network small {\n" + "\n".join(lines) + "\n}"
    cnndsl.compile(text, "wasm", seed=0, threads=threads).save(tmp_path)
    script = """
        import { load } from "./small.js";
        const network = await load();
        const given = Array.from({ length: 300 }, (_, index) => new Float32Array(6).fill(index));
        const found = await network.run(...given);
        console.log(network.threads, found.every((y, index) => y.every((x) => x === 2 * index)));
        network.dispose();
        """
    assert in_node(tmp_path, script) == [str(threads), "true"]


def test_calls_on_threads_are_served_in_turn(small: Path):
    script = """
        import { load } from "./small.js";
        const networks = [];
        for (const threads of [1, 2]) networks.push(await load(undefined, { threads }));
        const inputs = [1, 2, 3].map((x) => new Float32Array(360).fill(x));
        const [one, two] = await Promise.all(networks.map((network) => {
          const calls = inputs.map((input) => network.run(input));
          if (network.threads > 1) try { network.setWeights(new Uint8Array(100)); }
          catch (error) { console.log(error.message.replaceAll(" ", "_")); }
          inputs.at(-1).fill(3);
          return Promise.all(calls);
        }));
        const texts = [one, two].map((results) => results.map(([scores]) => scores.join()));
        console.log(texts[0].every((text, k) => text === texts[1][k]), new Set(texts[0]).size);
        """
    assert in_node(small, script) == ["the_network_is_computing", "true", "3"]


DEATHS = """
import { Worker } from "node:worker_threads";
import { load } from "./small.js";
const workers = new Set(), { on } = Worker.prototype;
Worker.prototype.on = function (...given) { workers.add(this); return on.apply(this, given); };
const network = await load(undefined, { threads: 3 }), input = new Float32Array(360);
const ended = [...workers].map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
const calls = [network.run(input), network.run(input)];
END;
for (const call of [...calls, network.run(input)])
  await call.then(() => console.log("done"), ({ message }) => console.log(message));
await Promise.all(ended);
console.log(workers.size);
"""


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("[...workers][1].terminate()", "a thread has ended"),
        ("network.dispose()", "the network was disposed of"),
    ],
)
def test_threads_end_together_and_calls_are_rejected(small: Path, end: str, message: str):
    assert in_node(small, DEATHS.replace("END", end)) == [*message.split() * 3, "3"]


def test_without_shared_memory_there_is_one_thread(small: Path):
    script = """
        delete globalThis.SharedArrayBuffer;
        const { load } = await import("./small.js");
        console.log((await load(undefined, { threads: 4 })).threads);
        """
    assert in_node(small, script) == ["1"]


def test_threads_that_do_not_start_are_an_error(small: Path):
    (small / "small.worker.js").write_text("throw new Error('no thread');")
    script = """
        import { load } from "./small.js";
        await load(undefined, { threads: 2 }).catch(({ message }) => console.log(message));
        """
    assert in_node(small, script) == ["Error:", "no", "thread"]


def test_one_thread_needs_no_code_for_several(tmp_path: Path):
    folder = tmp_path / "page"
    cnndsl.compile(TEXT, "wasm", seed=0, threads=1).save(folder)
    assert not list(folder.glob("*.threads.wasm")) + list(folder.glob("*.worker.js"))
    script = """
        import { load } from "./small.js";
        console.log((await load(undefined, { threads: 2 })).threads);
        """
    assert in_node(folder, script) == ["1"]


def test_more_memory_than_there_are_addresses_is_refused():
    network = "network n { input x [3, 8, 8]\n conv(16, 3) -> relu }"
    with pytest.raises(CnnError, match=r"E0711.*WebAssembly addresses"):
        cnndsl.compile(network, "wasm", seed=0, batch=1_000_000)
