"""ONNX models on the command line: imported as text, and in the place of networks."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

import cnndsl
from tests.importers.support import model, numbers, original, saved

NET = """
    (float[N,3,8,8] image) => (float[N,4] scores, float[N,5,8,8] map) {
        t = Conv <pads = [1, 1, 1, 1]> (image, stem_weight, stem_bias)
        map = Relu (t)
        g = GlobalAveragePool (map)
        f = Flatten (g)
        scores = Gemm (f, head_weight, head_bias)
    }"""


@pytest.fixture
def wanted(call, tmp_path):
    """The outputs of the model `model.onnx` for the image `x.npy`."""
    weights = {
        "stem_weight": numbers(5, 3, 3, 3),
        "stem_bias": numbers(5, seed=1),
        "head_weight": numbers(5, 4, seed=2),
        "head_bias": numbers(4, seed=3),
    }
    path = saved(model(NET, **weights), tmp_path)
    np.save("x.npy", numbers(2, 3, 8, 8, seed=4))
    return original(path, {"image": np.load("x.npy")})


def close(actual, expected):
    return np.abs(actual - expected).max() < 1e-5


def test_a_model_becomes_a_text_and_weights(call, wanted, tmp_path):
    (tmp_path / "out").mkdir()
    done = call("import", "model.onnx", "-o", "out", "--output-map", "names.map")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "out/model.cnn", "out/model.safetensors", "names.map",
    ]  # fmt: skip
    assert call("check", "out/model.cnn").code == 0
    module = cnndsl.compile("out/model.cnn", weights="out/model.safetensors")
    results = module(np.load("x.npy"))
    assert all(close(results[name], array) for name, array in wanted.items())
    names = {line.split(" -> ")[0] for line in (tmp_path / "names.map").read_text().splitlines()}
    assert names == {"stem_weight", "stem_bias", "head_bias"}


def test_other_weights_of_the_same_model(call, wanted):
    call("import", "model.onnx", "--output-map", "names.map")
    stored = onnx.load("model.onnx").graph.initializer
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in stored}
    head = {"fc1.weight": arrays.pop("head_weight").T}
    module = cnndsl.compile("model.cnn", weights={**arrays, **head}, weights_map="names.map")
    assert close(module(np.load("x.npy"))["scores"], wanted["scores"])


def test_layers_of_a_model_are_those_of_its_text(call, wanted):
    """But for the names: the text has shorter ones."""
    assert call("import", "model.onnx").code == 0
    of_model, of_text = (
        json.loads(call("inspect", file, "--layers", "--json").out)
        for file in ("model.onnx", "model.cnn")
    )
    for row in (*of_model["layers"], *of_text["layers"]):
        assert row.pop("name")
    assert of_model == of_text
    kinds = [layer["kind"] for layer in of_model["layers"]]
    assert kinds == ["conv", "global_avgpool", "fc"]


def test_outputs_cut_the_model(call, wanted):
    assert call("import", "model.onnx", "--outputs", "map").code == 0
    assert list(cnndsl.parse("model.cnn").outputs) == ["map"]
    refused = call("import", "model.onnx", "--outputs", "maps", "-o", ".")
    assert (refused.code, "did you mean 'map'?" in refused.err) == (2, True)


def test_verbs_take_a_model(call, wanted, tmp_path):
    assert "164 parameters" in call("inspect", "model.onnx").out
    assert json.loads(call("inspect", "model.onnx", "--json").out)["params"] == 140 + 24
    assert call("check", "model.onnx").code == 0
    assert call("draw", "model.onnx").out.startswith("model.svg")
    assert call("compare", "model.onnx", "--targets", "reference,onnx").code == 0
    assert call("compile", "model.onnx", "--target", "reference").code == 0
    for options in (("model.onnx",), ("model.onnx", "--target", "reference"), ("model.cnnref",)):
        done = call("run", *options, "--input", "x.npy", "--output", "y.npz")
        assert done.code == 0
        results = np.load("y.npz")
        assert all(close(results[name], array) for name, array in wanted.items())
        (tmp_path / "y.npz").unlink()
    over = call("compile", "model.onnx")
    assert (over.code, "E0612" in over.err) == (2, True)


def test_all_that_is_not_read_is_told_at_once(call, tmp_path):
    text = """(float[N,3,8,8] x) => (float[] y) {
        a = Erf (x)
        b = Det (a)
        n = NonZero (b)
        d = Det (n)
        c = Det (d)
        y = Relu (c)
    }"""
    saved(model(text), tmp_path)
    done = call("check", "model.onnx")
    assert done.code == 1
    assert [line.partition(":")[0] for line in done.out.splitlines() if "E08" in line] == [
        "error[E0802]",
        "error[E0802]",
    ]
    assert "the same of 2 more: Det 'of d', Det 'of c'" in done.out


def test_findings_name_the_file_that_they_are_about(call, tmp_path):
    saved(model("(float[N,3,8,8] x) => (float[] y) { y = Det (x) }"), tmp_path)
    (tmp_path / "model.onnx").rename(tmp_path / "other.onnx")
    saved(model("(float[N,3,8,8] x) => (float[] y) { y = Relu (x) }"), tmp_path)
    done = call("check", "model.onnx", "other.onnx")
    (line,) = [line for line in done.out.splitlines() if "E0802" in line]
    assert line.startswith("error[E0802]: other.onnx: Det ")
    assert "hint: --outputs NAME cuts" in done.out
    (found,) = json.loads(call("check", "other.onnx", "--output-format", "json").out)
    assert found["file"] == "other.onnx"


def test_a_folder_is_made_and_no_text_replaced_unasked(call, wanted, tmp_path):
    own = "network model {\n    input x [3, 8, 8]\n    relu\n}\n"
    (tmp_path / "model.cnn").write_text(own)
    result = call("import", "model.onnx")
    assert (result.code, result.out) == (2, "")
    assert "model.cnn is there already" in result.err
    assert (tmp_path / "model.cnn").read_text() == own
    assert call("import", "model.onnx", "-o", "new").code == 0
    imported = (tmp_path / "new" / "model.cnn").read_text()
    assert call("import", "model.onnx", "-o", ".").code == 0
    assert (tmp_path / "model.cnn").read_text() == imported
    for folder, reason in {"model.onnx": "Not a directory", "a/b": "No such file"}.items():
        result = call("import", "model.onnx", "-o", folder)
        assert (result.code, reason in result.err) == (2, True)
