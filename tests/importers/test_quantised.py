"""Quantised models: what they become, and that they compute on codes what onnxruntime does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.importers.onnx.load import load
from cnndsl.importers.text import written
from cnndsl.ir.operators import Quantised
from cnndsl.quantise.precision import on_codes
from tests.importers.support import model, numbers, original, saved
from tests.quantise.conftest import TEXT

STEP = 0.04
"""The scale of the last codes of all models."""


def scale(value: float) -> Any:
    return np.float32(value)


def coded(*shape: int, seed: int = 0) -> Any:
    """Weights on codes, which use the widest range in no filter."""
    return np.random.default_rng(seed).integers(-100, 101, shape).astype(np.int8)


CONSTANTS = {
    "w1": coded(8, 3, 3, 3),
    "s1": np.linspace(0.002, 0.004, 8, dtype=np.float32),
    "z1": np.zeros(8, np.int8),
    "b1": np.arange(-400, 400, 100, dtype=np.int32),
    "sb1": np.linspace(0.002, 0.004, 8, dtype=np.float32) * scale(0.05),
    "w2": coded(8, 8, 1, 1, seed=1),
    "s2": scale(0.003),
    "z2": np.int8(0),
    "w3": coded(8, 5, seed=2),
    "s3": scale(0.01),
    "sx": scale(0.05),
    "zx": np.int8(-3),
    "sr": scale(0.02),
    "zr": np.int8(-128),
    "sa": scale(0.03),
    "za": np.int8(5),
    "sy": scale(STEP),
    "zy": np.int8(7),
    "flat": np.array([0, -1]),
    "pads": np.array([0, 0, 1, 0, 0, 0, 0, 0]),
}

QDQ = """(float[N,3,8,8] x) => (float[N,5] y) {
    w1f = DequantizeLinear <axis = 0> (w1, s1, z1)
    b1f = DequantizeLinear <axis = 0> (b1, sb1)
    w2f = DequantizeLinear (w2, s2, z2)
    w3f = DequantizeLinear (w3, s3, z2)
    xq = QuantizeLinear (x, sx, zx)
    xf = DequantizeLinear (xq, sx, zx)
    c = Conv <pads = [1, 1, 1, 1]> (xf, w1f, b1f)
    RELU
    rq = QuantizeLinear (r, sr, zr)
    rf = DequantizeLinear (rq, sr, zr)
    d = Conv (rf, w2f)
    dq = QuantizeLinear (d, sa, za)
    df = DequantizeLinear (dq, sa, za)
    a = Add (df, rf)
    aq = QuantizeLinear (a, sa, za)
    mq = MaxPool <kernel_shape = [8, 8]> (aq)
    vq = Reshape (mq, flat)
    vf = DequantizeLinear (vq, sa, za)
    g = Gemm (vf, w3f)
    gq = QuantizeLinear (g, sy, zy)
    y = DequantizeLinear (gq, sy, zy)
}"""

QLINEAR = """(float[N,3,8,8] x) => (float[N,5] y) {
    xq = QuantizeLinear (x, sx, zx)
    rq = QLinearConv <pads = [1, 1, 1, 1]> (xq, sx, zx, w1, s1, z1, sr, zr, b1)
    pq = Pad (rq, pads, zr)
    mq = MaxPool <kernel_shape = [9, 8]> (pq)
    vq = Flatten (mq)
    gq = QLinearMatMul (vq, sr, zr, w3, s3, z2, sy, zy)
    y = DequantizeLinear (gq, sy, zy)
}"""

LEFT_OUT = QDQ.replace("RELU", "r = Identity (c)")
RECTIFIED = QDQ.replace("RELU", "r = Relu (c)")


def steps_apart(path: Path, image: Any, target: str, step: float = STEP) -> float:
    """The largest difference from onnxruntime, in steps of the last scale."""
    wanted = original(path, {"x": image})["y"]
    made = cnndsl.compile(path, target, precision="int8")(image)
    return float(np.abs(made.reshape(wanted.shape) - wanted).max() / step)


def layers(path: Path, **constants: Any) -> Counter[str]:
    """How many operators there are on codes, and linear layers in float32."""
    found = load(path)
    _, graph = on_codes(found.graph, found.codes, level=2)
    kinds = Counter(n.op.op.name for n in graph.nodes() if isinstance(n.op, Quantised))
    floats = [n for n in graph.nodes() if n.op.name in ("conv", "fc")]
    return kinds + Counter(float=len(floats))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (RECTIFIED, {"conv": 2, "add": 1, "maxpool": 1, "fc": 1, "reshape": 0}),
        (LEFT_OUT, {"conv": 2, "add": 1, "maxpool": 1, "fc": 1}),
        (QLINEAR, {"conv": 1, "maxpool": 1, "fc": 1}),
    ],
    ids=["qdq", "without relu", "qlinear"],
)
def test_all_layers_run_on_the_codes_of_the_model(
    text: str, kinds: dict[str, int], tmp_path: Path
) -> None:
    path = saved(model(text, **CONSTANTS), tmp_path)
    found = layers(path)
    assert {kind: found[kind] for kind in kinds} == kinds
    assert not found["float"]
    image = numbers(4, 3, 8, 8) * np.float32(2)
    for target in ("reference", "onnx"):
        assert steps_apart(path, image, target) <= 1.01, target


def test_a_rectifier_that_a_quantiser_left_out_is_there_in_float32(tmp_path: Path) -> None:
    image = numbers(4, 3, 8, 8) * np.float32(0.3)
    results = {}
    for text in (LEFT_OUT, RECTIFIED):
        path = saved(model(text, **CONSTANTS), tmp_path)
        module = cnndsl.compile(path, "reference")
        assert "--precision int8" in " ".join(module.remarks)
        results[text] = module(image)
        assert "relu" in written(load(path)).text
        assert np.abs(results[text] - original(path, {"x": image})["y"]).max() < 4 * STEP
    assert np.array_equal(*results.values())


def test_a_clamp_at_6_comes_back(tmp_path: Path) -> None:
    six = {**CONSTANTS, "sr": scale(6 / 255)}
    text = written(load(saved(model(LEFT_OUT, **six), tmp_path))).text
    assert "relu6" in text


@pytest.mark.parametrize(
    "changed",
    [
        {"w2": np.full((8, 8, 1, 1), -128, np.int8)},
        {"w2": coded(8, 8, 1, 1).astype(np.int16).astype(np.int8), "z2": np.int8(60)},
        {"b1": np.full(8, 2**31 - 1, np.int32)},
    ],
    ids=["lowest weight", "zero point of weights", "bias beyond 30 bits"],
)
def test_what_codes_cannot_hold_is_computed_in_float32(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    path = saved(model(RECTIFIED, **{**CONSTANTS, **changed}), tmp_path)
    assert layers(path)["float"] >= 1
    assert steps_apart(path, numbers(4, 3, 8, 8), "reference") <= 1.01


def test_one_reader_may_see_a_tensor_rounded_and_another_not(tmp_path: Path) -> None:
    text = """(float[N,3,8,8] x) => (float[N,8,8,8] y) {
        w1f = DequantizeLinear <axis = 0> (w1, s1, z1)
        w2f = DequantizeLinear (w2, s2, z2)
        xq = QuantizeLinear (x, sx, zx)
        xf = DequantizeLinear (xq, sx, zx)
        c = Conv <pads = [1, 1, 1, 1]> (xf, w1f)
        r = Relu (c)
        rq = QuantizeLinear (r, sr, zr)
        rf = DequantizeLinear (rq, sr, zr)
        d = Conv (rf, w2f)
        a = Add (d, r)
        yq = QuantizeLinear (a, sy, zy)
        y = DequantizeLinear (yq, sy, zy)
    }"""
    path = saved(model(text, **CONSTANTS), tmp_path)
    found = load(path)
    assert found.codes
    readers = [row.readers for rows in found.codes.tensors.values() for row in rows]
    assert Counter(readers) == {None: 2, ("d",): 1}
    assert layers(path) == {"conv": 2}
    for target in ("reference", "onnx", "cpu"):
        assert steps_apart(path, numbers(2, 3, 8, 8), target) <= 1.01, target


@pytest.mark.parametrize(
    ("reader", "found"),
    [
        ("Conv <group = 8, pads = [1, 1, 1, 1]> (rf, wdf)", {"conv": 2}),
        ("Conv (rf, w2f)", {"conv": 1, "float": 1}),
    ],
)
def test_channels_with_scales_of_their_own(
    reader: str, found: dict[str, int], tmp_path: Path
) -> None:
    text = f"""(float[N,3,8,8] x) => (float[N,8,8,8] y) {{
        w1f = DequantizeLinear <axis = 0> (w1, s1, z1)
        wdf = DequantizeLinear <axis = 0> (wd, s1, z1)
        w2f = DequantizeLinear (w2, s2, z2)
        xq = QuantizeLinear (x, sx, zx)
        xf = DequantizeLinear (xq, sx, zx)
        c = Conv <pads = [1, 1, 1, 1]> (xf, w1f, b)
        r = Relu (c)
        rq = QuantizeLinear <axis = 1> (r, sc, zc)
        rf = DequantizeLinear <axis = 1> (rq, sc, zc)
        d = {reader}
        yq = QuantizeLinear (d, sy, zy)
        y = DequantizeLinear (yq, sy, zy)
    }}"""
    own = {
        "sc": np.linspace(0.03, 0.005, 8, dtype=np.float32),
        "zc": np.zeros(8, np.uint8),
        "wd": coded(8, 1, 3, 3, seed=3),
        "b": numbers(8),
    }
    path = saved(model(text, **CONSTANTS, **own), tmp_path)
    assert layers(path) == found
    for target in ("reference", "onnx"):
        assert steps_apart(path, numbers(2, 3, 8, 8), target) <= 1.01, target
    text = written(load(path))
    text.codes.write(tmp_path / "m.calibration")
    module = cnndsl.compile(
        cnndsl.parse(text.text),
        "reference",
        weights=text.weights,
        precision="int8",
        calibration=tmp_path / "m.calibration",
    )
    wanted = cnndsl.compile(path, "reference", precision="int8")
    image = numbers(2, 3, 8, 8)
    assert np.abs(module(image) - wanted(image)).max() <= 1.01 * STEP


def test_our_own_models_come_back_with_their_codes(tmp_path: Path) -> None:
    net = cnndsl.parse(TEXT)
    image = numbers(4, 3, 16, 16)
    found = cnndsl.calibrate(net, [{"image": image}], seed=0)
    module = cnndsl.compile(net, "onnx", seed=0, precision="int8", calibration=found)
    module.save(tmp_path / "small.onnx")
    exact = cnndsl.compile(net, "reference", seed=0, precision="int8", calibration=found)
    again = cnndsl.compile(tmp_path / "small.onnx", "reference", precision="int8")
    apart = np.abs(again(image) - exact(image))
    assert apart.max() <= found.tensors["fc3"].quantisation.scale
    text = written(load(tmp_path / "small.onnx"))
    (tmp_path / "again.cnn").write_text(text.text)
    assert text.codes
    text.codes.write(tmp_path / "again.calibration")
    third = cnndsl.compile(
        cnndsl.parse(tmp_path / "again.cnn"),
        "reference",
        weights=text.weights,
        precision="int8",
        calibration=tmp_path / "again.calibration",
    )
    assert np.array_equal(third(image), again(image))


REFUSALS = {
    "q = QuantizeLinear (x, s, w) y = DequantizeLinear (q, s, w)": ("int16", "E0803"),
    "q = QuantizeLinear <axis = 2> (x, v, u) y = DequantizeLinear <axis = 2> (q, v, u)": (
        "a scale for each",
        "E0803",
    ),
    "q = QuantizeLinear (x, s, z) f = Cast <to = 1> (q) y = Relu (f)": (
        "computes with codes",
        "E0802",
    ),
    "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, t, z)": (
        "not that of the codes",
        "E0803",
    ),
    "q = QuantizeLinear (x, s, z) f = DequantizeLinear (q, s, z)"
    " p = QuantizeLinear (f, t, z) y = DequantizeLinear (p, t, z)": ("rounded to other", "E0803"),
    "q = QuantizeLinear (x, s, z) f = DequantizeLinear (q, s, z) y = Mul (f, x)": (
        "and otherwise",
        "E0803",
    ),
    "q, a, b = DynamicQuantizeLinear (x) y = DequantizeLinear (q, a, b)": ("depend on", "E0802"),
}


@pytest.mark.parametrize("text", REFUSALS, ids=[reason for reason, _ in REFUSALS.values()])
def test_what_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    reason, code = REFUSALS[text]
    constants = {
        "s": scale(0.1),
        "t": scale(0.2),
        "z": np.uint8(3),
        "w": np.int16(3),
        "v": np.full(5, 0.1, np.float32),
        "u": np.zeros(5, np.int8),
    }
    proto = model(f"(float[N,4,5,5] x) => (float[] y) {{ {text} }}", 21, **constants)
    with pytest.raises(CnnError, match=reason) as caught:
        load(saved(proto, tmp_path))
    assert {found.code for found in caught.value.diagnostics} == {code}


def test_an_output_on_codes_is_refused(tmp_path: Path) -> None:
    proto = model(
        "(float[N,4,5,5] x) => (uint8[] y) { y = QuantizeLinear (x, s, z) }",
        s=scale(0.1),
        z=np.uint8(3),
    )
    with pytest.raises(CnnError, match="on codes"):
        load(saved(proto, tmp_path))


def test_weights_that_a_runtime_is_to_quantise_are_quantised_here(tmp_path: Path) -> None:
    text = RECTIFIED.replace(
        "w2f = DequantizeLinear (w2, s2, z2)",
        "w2q = QuantizeLinear (w2n, s2, z2) w2f = DequantizeLinear (w2q, s2, z2)",
    )
    path = saved(model(text, **CONSTANTS, w2n=numbers(8, 8, 1, 1) / np.float32(9)), tmp_path)
    assert not layers(path)["float"]
    assert steps_apart(path, numbers(4, 3, 8, 8), "reference") <= 1.01


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"zero": 0', '"zero": 256'),
        ('"scale": 0.02', '"scale": "a"'),
        ('"weights"', '"wights"'),
        ('"tensors": {', '"tensors": 3, "x": {'),
        ("[0.002", "[-0.002"),
    ],
)
def test_damaged_files_are_told(old: str, new: str, tmp_path: Path) -> None:
    path = saved(model(RECTIFIED, **CONSTANTS), tmp_path)
    found = load(path)
    assert found.codes
    file = tmp_path / "m.calibration"
    found.codes.write(file)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CnnError, match="E0903"):
        cnndsl.compile(path, "reference", precision="int8", calibration=file)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = saved(model(RECTIFIED, **CONSTANTS), tmp_path)
    codes = load(path).codes
    with pytest.raises(CnnError, match="E0904"):
        cnndsl.compile("lenet5", "reference", seed=0, precision="int8", calibration=codes)
    with pytest.raises(CnnError, match="no signal-to-noise"):
        cnndsl.compile(path, "reference", precision="int8", min_snr=20.0)
    kept = cnndsl.compile(path, "reference", precision="int8", keep_float=["c"])
    assert np.isfinite(kept(numbers(1, 3, 8, 8))).all()


def test_onnxruntimes_quantiser(tmp_path: Path) -> None:
    """The own file format, operators on codes of its own included."""
    from onnxruntime import quantization as q

    net = cnndsl.parse(
        "network n { input x [3, 16, 16]\n conv(8, 3) -> relu6 -> conv(8, 3, groups=8) -> relu ->"
        "concat { conv(4, 1) | avgpool(3, 1, pad=1) -> conv(4, 1) } -> global_avgpool -> fc(5) }"
    )
    cnndsl.compile(net, "onnx", seed=0, opset=17).save(tmp_path / "n.onnx")

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"x": numbers(1, 3, 16, 16, seed=seed)} for seed in range(4)]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    for style in ("QDQ", "QOperator"):
        path = tmp_path / f"{style}.onnx"
        q.quantize_static(
            *(tmp_path / "n.onnx", path, Reader()),
            quant_format=getattr(q.QuantFormat, style),
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
        )
        proto = onnx.load(path)
        assert any(node.op_type.startswith("QLinear") for node in proto.graph.node) == (
            style == "QOperator"
        )
        found = load(path)
        assert found.codes
        last = [*found.codes.tensors.values()][-1][-1].quantisation.scale
        image = numbers(3, 3, 16, 16, seed=9)
        wanted = next(iter(original(path, {"x": image}, exact=True).values()))
        made = cnndsl.compile(path, "reference", precision="int8")(image)
        assert np.abs(made - wanted).max() <= 1.01 * last, style
