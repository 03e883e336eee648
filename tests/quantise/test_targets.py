"""Graphs on codes on the reference and as QDQ models in onnxruntime; formats of 16 bits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from ml_dtypes import bfloat16

import cnndsl
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.operators import Quantised
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.text import graph_text
from cnndsl.ir.verify import verify
from cnndsl.quantise.collect import Settings, calibrate
from cnndsl.quantise.precision import on_codes
from cnndsl.quantise.prepare import prepare
from cnndsl.runtime.backend import backend
from cnndsl.runtime.module import Array, Module
from cnndsl.weights.bind import bind
from tests.passes.random_graphs import Sample, samples
from tests.quantise.conftest import Small


def compiled(small: Small, target: str, **options: object) -> Module:
    return cnndsl.compile(
        small.network, target, seed=0, precision="int8", calibration=small.file, **options
    )


def optimised(module: Module, path: Path) -> Counter[str]:
    """The operators that onnxruntime runs in the end."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    module.save(path.with_name("model.onnx"))
    model = path.with_name("model.onnx").read_bytes()
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def snr(made: Array, wanted: Array) -> float:
    return 10 * float(np.log10((wanted**2).sum() / ((made - wanted) ** 2).sum()))


def test_onnxruntime_computes_the_same_codes(small: Small) -> None:
    """But for ties that it rounds otherwise; results are within a step of the last scale."""
    reference, model = compiled(small, "reference"), compiled(small, "onnx")
    arrays, _ = reference.batched(image=small.samples)
    wanted, made = reference.trace(arrays), model.trace(arrays)  # type: ignore[attr-defined]
    seen = [name for name, codes in wanted.items() if codes.dtype == np.uint8 and name in made]
    assert len(seen) > 12
    for name in seen:
        apart = np.abs(made[name].astype(int) - wanted[name].astype(int))
        assert (apart > 0).mean() < 0.01, name
        assert apart.max() <= 4, name
    step = small.calibration.tensors["fc3"].quantisation.scale
    assert np.abs(model(small.samples) - reference(small.samples)).max() <= step


def test_no_layer_falls_back_to_float(small: Small, tmp_path: Path) -> None:
    kinds = optimised(compiled(small, "onnx"), tmp_path / "optimised.onnx")
    assert kinds["QLinearConv"] == 6
    assert kinds["QGemm"] == 3
    assert not kinds["Conv"] + kinds["FusedConv"] + kinds["Gemm"]


def test_int8_is_near_float32(small: Small) -> None:
    exact = cnndsl.compile(small.network, "reference", seed=0)
    assert snr(compiled(small, "reference")(small.samples), exact(small.samples)) > 25


def test_symmetric_models_have_zero_points_of_zero(small: Small, tmp_path: Path) -> None:
    asked = Settings(symmetric=True)
    found = cnndsl.calibrate(small.network, [{"image": small.samples}], seed=0, settings=asked)
    module = cnndsl.compile(small.network, "onnx", seed=0, precision="int8", calibration=found)
    reference = cnndsl.compile(
        small.network, "reference", seed=0, precision="int8", calibration=found
    )
    module.save(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    zeros = [i for i in model.graph.initializer if "_zero" in i.name]
    assert zeros
    assert all(not onnx.numpy_helper.to_array(i).any() for i in zeros)
    assert onnx.TensorProto.UINT8 not in {i.data_type for i in zeros}
    step = found.tensors["fc3"].quantisation.scale
    assert np.abs(module(small.samples) - reference(small.samples)).max() <= step


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_other_weights_without_compiling_again(small: Small, target: str) -> None:
    module = compiled(small, target)
    plain = prepare(small.network.graph, 0)
    values = bind(plain.parameters(), None, seed=7).values
    module.set_weights(values)
    fresh = cnndsl.compile(
        small.network, target, weights=values, precision="int8", calibration=small.file
    )
    np.testing.assert_array_equal(module(small.samples), fresh(small.samples))


def test_files_keep_the_codes(small: Small, tmp_path: Path) -> None:
    module = compiled(small, "reference")
    module.save(tmp_path / "small.cnnref")
    again = cnndsl.load(tmp_path / "small.cnnref")
    np.testing.assert_array_equal(again(small.samples), module(small.samples))


def test_layers_that_stay_float(small: Small) -> None:
    def on_float(**options: object) -> set[str]:
        _, graph = on_codes(small.network.graph, small.calibration, level=2, **options)  # type: ignore[arg-type]
        verify(graph)
        return {node.name for node in graph.nodes() if not isinstance(node.op, Quantised)}

    everywhere = on_float()
    assert "last" not in everywhere
    assert "last" in on_float(keep_float=["last"])
    assert {"fc1", "fc2", "fc3"} <= on_float(keep_float=["fc?"])
    worst = min(row.snr for row in small.calibration.tensors.values() if row.snr is not None)
    assert on_float(min_snr=worst - 1) == everywhere
    assert on_float(min_snr=worst + 0.5) > everywhere
    assert not any(isinstance(small.network.graph[n].op, Quantised) for n in ("fc1", "last"))


def test_bf16_stores_and_rounds(small: Small) -> None:
    """Every stored number is one of bfloat16 but for the last layer's, and near float32's."""
    module = cnndsl.compile(small.network, "reference", seed=0, precision="bf16")
    arrays, _ = module.batched(image=small.samples)
    values = module.trace(arrays)  # type: ignore[attr-defined]
    wide = {n for n, x in values.items() if (x != x.astype(bfloat16).astype("f")).any()}
    assert wide == {"image", "fc3"}
    assert len(values) > 12
    exact = cnndsl.compile(small.network, "reference", seed=0)
    assert 35 < snr(module(small.samples), exact(small.samples)) < 70


def test_f16_models(small: Small, tmp_path: Path) -> None:
    module = cnndsl.compile(small.network, "onnx", seed=0, precision="f16")
    module.save(tmp_path / "half.onnx")
    model = onnx.load(tmp_path / "half.onnx")
    elements = {i.data_type for i in model.graph.initializer if "scales" not in i.name}
    assert elements <= {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}
    exact = cnndsl.compile(small.network, "reference", seed=0)
    made = module(small.samples)
    assert made.dtype == np.float32
    assert snr(made, exact(small.samples)) > 50
    values = bind(prepare(small.network.graph, 0).parameters(), None, seed=0).values
    values = {name: array * 1e6 for name, array in values.items()}
    with pytest.raises(cnndsl.CnnError, match="E0412"):
        cnndsl.compile(small.network, "onnx", weights=values, precision="f16")


@given(samples())
@settings(max_examples=8, derandomize=True)
def test_random_graphs(sample: Sample) -> None:
    """Any graph can be put on codes, and onnxruntime computes nearly the same codes."""
    exact = prepare(sample.graph, 2)
    inputs = {name: array.astype(np.float32) for name, array in sample.inputs.items()}
    found = calibrate(exact, sample.values, [inputs], 2, Settings(method="minmax"))
    _, low = on_codes(sample.graph, found, level=2)
    verify(low)
    again = from_json(json.loads(json.dumps(to_json(low))))
    assert graph_text(again) == graph_text(low)
    made = run_graph(low, sample.values, inputs, "float32")
    chosen = backend("onnx")
    model = chosen.compile(low, sample.values, chosen.options(metadata={"network": "random"}))
    for name, array in model.run(inputs).items():
        assert np.isfinite(array).all()
        largest = np.abs(made[name]).max() + 1e-6
        assert np.abs(array - made[name]).max() <= 0.1 * largest, name
