"""ONNX models in the API and on the command line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

import cnndsl
from cnndsl.decompile import decompile
from cnndsl.diagnostics import CnnError
from cnndsl.importers.onnx.wire import parsed
from tests.importers.support import compared, model, numbers, operators, original, saved

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


def test_a_detector_is_cut_before_it_chooses_boxes(tmp_path: Path) -> None:
    text = """(float[N,3,8,8] image) => (int64[K,3] chosen) {
        boxes = Conv (image, w)
        scores = Sigmoid (boxes)
        b = Reshape (boxes, four)
        s = Reshape (scores, flat)
        chosen = NonMaxSuppression (b, s)
    }"""
    shapes = {"four": np.asarray([1, 64, 4]), "flat": np.asarray([1, 4, 64])}
    path = saved(model(text, w=numbers(4, 3, 1, 1), **shapes), tmp_path)
    with pytest.raises(CnnError) as caught:
        cnndsl.load_onnx(path)
    assert [(d.code, "--outputs" in (d.hint or "")) for d in caught.value.diagnostics] == [
        ("E0802", True)
    ]
    net = cnndsl.load_onnx(path, ["boxes", "scores"])
    assert {name: str(kind) for name, kind in net.outputs.items()} == {
        "boxes": "4x8x8",
        "scores": "4x8x8",
    }


def test_other_sizes_of_an_input(path: Path) -> None:
    assert str(cnndsl.parse(path, input_shapes={"image": (3, 20, 9)}).inputs["image"]) == "3x20x9"
    for shapes in ({"photo": (3, 8, 8)}, {"image": (3, 8)}):
        with pytest.raises(CnnError, match="E0604"):
            cnndsl.parse(path, input_shapes=shapes)
    with pytest.raises(CnnError, match="E0205"):
        cnndsl.parse(path, settings={"classes": 3})


def test_open_sizes_come_back_as_they_were_written(tmp_path: Path):
    text = """network n {
        input image [1, 4*H, 4*W]
        conv(4, 3, stride=2) -> relu
        concat { identity | global_avgpool -> reshape([4, 1, 1]) -> resize(size=[2*H, 2*W]) }
        upsample(2) -> conv(2, 1)
    }"""
    module = cnndsl.compile(text, seed=0)
    module.save(tmp_path / "n.onnx")
    imported = cnndsl.load_onnx(tmp_path / "n.onnx")
    assert str(imported.inputs["image"]) == "1 x 4*H x 4*W"
    again = decompile(imported.graph, "n")
    assert "input image [1, 4*H, 4*W]" in again.text
    assert "resize(size=[2*H, 2*W])" in again.text
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 20)).astype(np.float32)
    found = cnndsl.compile(imported, "reference")(x)
    np.testing.assert_allclose(found, module(x), atol=1e-5)


def test_large_weights_stay_in_the_file_until_they_are_read(tmp_path: Path):
    weight, half = numbers(60, 3, 21, 21), numbers(60, 60, 3, 3, seed=1).astype(np.float16)
    text = """(float[N,3,30,30] x) => (float[N,60,8,8] y) {
        a = Conv (x, w)
        f = Cast <to = 1> (h)
        y = Conv (a, f)
    }"""
    path = saved(model(text, w=weight, h=half), tmp_path)
    assert len(parsed(path).SerializeToString()) < 70_000 < path.stat().st_size
    link = tmp_path / "elsewhere" / "link.onnx"
    link.parent.mkdir()
    link.symlink_to(path)
    for file in (path, link):
        found = cnndsl.load_onnx(file).weights or {}
        for wanted in (weight, half.astype(np.float32)):
            assert any(np.array_equal(array, wanted) for array in found.values())
    whole = path.read_bytes()
    for cut in (0, 1, 10, len(whole) // 2, len(whole) - 70_000, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CnnError, match="E0801"):
            cnndsl.load_onnx(path)


def test_locally_connected_layers_come_back(tmp_path: Path):
    text = """network n {
        input image [2, 7, 9]
        local_conv(3, [3, 2], stride=[2, 1]) -> relu -> local_conv(4, 2, pad=1, bias=false)
        flatten -> reshape([4, 36]) -> local_conv(2, 5, stride=3)
    }"""
    module = cnndsl.compile(text, seed=0)
    module.save(tmp_path / "n.onnx")
    found = compared(tmp_path / "n.onnx")
    wanted = ["local_conv", "relu", "pad", "local_conv", "reshape", "local_conv"]
    assert operators(found) == wanted


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("net.cnn", "a text of the language already.*cnndsl inspect"),
        ("net.pth", "PyTorch.*torch.onnx.export"),
        ("net.keras", "TensorFlow.*tf2onnx"),
        ("net.safetensors", "weights without a network.*--weights"),
        ("net.onnx", "no graph|not an ONNX model"),
    ],
)
def test_files_of_other_kinds_say_what_they_are(name: str, reason: str, tmp_path: Path) -> None:
    for content in (b"", b"network n { input x [3, 8, 8] relu }", bytes(range(256))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CnnError) as caught:
            cnndsl.load_onnx(tmp_path / name)
        (found,) = caught.value.diagnostics
        assert found.code == "E0801"
        assert re.search(reason, f"{found.message} {found.hint}", re.DOTALL)
        assert "protobuf" not in found.message.lower()


@pytest.mark.parametrize("group", [0, -1])
@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_a_convolution_has_at_least_one_group(operator: str, group: int, tmp_path: Path) -> None:
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], group=group)
    x, y = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("y", None))
    )
    weight = onnx.numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
    graph = onnx.helper.make_graph([node], "g", [x], [y], [weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "n.onnx")
    with pytest.raises(CnnError, match=f"E0801.*its group is {group}"):
        cnndsl.load_onnx(tmp_path / "n.onnx")


def test_a_pipe_that_nobody_writes_to_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.onnx")
    with pytest.raises(CnnError, match=r"E0601.*no regular file"):
        cnndsl.load_onnx(tmp_path / "net.onnx")
