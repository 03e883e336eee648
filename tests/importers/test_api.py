"""ONNX models in the API and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from tests.importers.support import model, numbers, original, saved

NET = """
    (float[N,3,8,8] image) => (float[N,4] scores) {
        a = Conv <pads = [1, 1, 1, 1]> (image, conv_weight, conv_bias)
        b = Relu (a)
        c = GlobalAveragePool (b)
        d = Flatten (c)
        scores = Gemm <transB = 1> (d, fc_weight, fc_bias)
    }"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    weights = {
        "conv_weight": numbers(5, 3, 3, 3),
        "conv_bias": numbers(5, seed=1),
        "fc_weight": numbers(4, 5, seed=2),
        "fc_bias": numbers(4, seed=3),
    }
    return saved(model(NET, **weights), tmp_path)


def test_a_model_is_a_network_with_its_weights(path: Path) -> None:
    net = cnndsl.load_onnx(path)
    assert (net.name, net.file, net.edited) == ("model", str(path), True)
    assert (net.params, net.macs) == (5 * 27 + 5 + 20 + 4, 5 * 27 * 64 + 20)
    assert set(net.weights or ()) == {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}
    image = numbers(2, 3, 8, 8)
    wanted = original(path, {"image": image})["scores"]
    for target in ("onnx", "reference"):
        assert np.abs(cnndsl.compile(net, target)(image) - wanted).max() < 1e-5
        assert np.abs(cnndsl.compile(path, target, seed=1)(image) - wanted).max() < 1e-5
    other = cnndsl.compile(net, weights={name: a * 0 for name, a in (net.weights or {}).items()})
    assert not other(image).any()


def test_outputs_cut_the_model(path: Path) -> None:
    net = cnndsl.load_onnx(path, ["b"])
    assert list(net.outputs) == ["b"]
    assert set(net.weights or ()) == {"conv.weight", "conv.bias"}
    with pytest.raises(CnnError, match="no tensor 'x'"):
        cnndsl.load_onnx(path, ["x"])


def test_other_sizes_of_an_input(path: Path) -> None:
    assert str(cnndsl.parse(path, input_shapes={"image": (3, 20, 9)}).inputs["image"]) == "3x20x9"
    for shapes in ({"photo": (3, 8, 8)}, {"image": (3, 8)}):
        with pytest.raises(CnnError, match="E0604"):
            cnndsl.parse(path, input_shapes=shapes)
    with pytest.raises(CnnError, match="E0205"):
        cnndsl.parse(path, settings={"classes": 3})
