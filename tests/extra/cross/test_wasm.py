"""WebAssembly in Node against the reference, and its folder."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import cnndsl
from cnndsl.backends.wasm import BACKEND
from cnndsl.backends.wasm.compile import compile_module
from cnndsl.backends.wasm.options import WasmOptions
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import assert_agrees
from tests.cpu.test_operators import NAMES, together
from tests.operators.cases import CASES, parameter_values
from tests.passes.random_graphs import Sample, samples

NETWORKS = ("lenet5", "mobilenet_v2", "resnet18", "shufflenet_v1_g3_1x", "squeezenet1_1")
MOST = 600_000
"""Bytes of code of a network, compressed, without its weights."""
TEXT = """
network small {
    input image [3, 12, 10]
    conv(8, 3) -> relu -> global_avgpool -> fc(7)
}
"""


@pytest.mark.parametrize("name", NAMES)
def test_operators_agree_with_the_reference(name: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    assert_agrees(compile_module(graph, values, WasmOptions(batch=2)), graph, values, inputs)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples())
def test_random_graphs_agree(sample: Sample):
    graph, _ = optimise(sample.graph, fusions=BACKEND.fusions)
    module = compile_module(graph, sample.values, WasmOptions())
    assert_agrees(module, graph, sample.values, sample.inputs, tolerance=1e-4)


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
    code = (tmp_path / "page" / f"{name}.wasm").read_bytes()
    assert len(gzip.compress(code)) <= MOST


def test_the_folder_holds_all_that_a_page_needs(tmp_path: Path):
    module = cnndsl.compile(TEXT, "wasm", seed=0)
    folder = tmp_path / "page"
    module.save(folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["index.html", "small.d.ts", "small.js", "small.wasm", "small.weights"]
    page = (folder / "index.html").read_text()
    assert "http:" not in page
    assert "https:" not in page
    with pytest.raises(CnnError, match="not a module"):
        cnndsl.load(folder / "small.wasm")


def test_wrong_weights_and_inputs_are_errors_in_javascript(tmp_path: Path):
    folder = tmp_path / "page"
    cnndsl.compile(TEXT, "wasm", seed=0).save(folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "test.mjs").write_text(
        """
        import { load } from "./small.js";
        import { readFile } from "node:fs/promises";
        const network = await load(), weights = new Uint8Array(await readFile("small.weights"));
        const tries = [() => network.run(), () => network.run(new Float32Array(3))];
        for (const place of [40, 100, weights.length - 70]) {
          const damaged = weights.slice();
          damaged[place] ^= 1;
          tries.push(() => network.setWeights(damaged));
        }
        tries.push(() => network.setWeights(weights.subarray(4)));
        let refused = 0;
        for (const attempt of tries) try { attempt(); } catch (error) { refused += 1; }
        const input = new Float32Array(360).fill(1), after = network.run(input)[0];
        network.setWeights(weights);
        const same = network.run(input)[0].every((x, index) => x === after[index]);
        console.log(refused, tries.length, after.length, same);
        """
    )
    command = ["node", "test.mjs"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["6", "6", "7", "true"]
