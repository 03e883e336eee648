"""The verbs in low precision, from samples to a comparison of layers."""

from __future__ import annotations

import json

import numpy as np
import pytest


@pytest.fixture
def calibrated(call, tmp_path):
    samples = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", samples)
    result = call("calibrate", "small.cnn", "--seed", "0", "--input", "x.npy")
    assert result.code == 0
    return result


def test_from_samples_to_a_comparison(call, calibrated, tmp_path):
    (path,) = tmp_path.glob("*.calibration")
    assert calibrated.out.endswith(f"{path.name}\n")
    assert "5 samples" in calibrated.err
    low = ("--precision", "int8", "--calibration", path.name)
    assert call("compile", "small.cnn", "--seed", "0", *low, "-o", "low.onnx").code == 0
    assert call("run", "low.onnx", "--input", "x.npy").code == 0
    compared = call(
        *("compare", "small.cnn", "--seed", "0", "--targets", "reference,onnx", *low),
        *("--layers", "worst", "--json"),
    )
    assert compared.code == 0
    rows = json.loads(compared.out)["rows"]
    ratios = [min(row["snr_db"].values()) for row in rows if None not in row["snr_db"].values()]
    assert ratios == sorted(ratios)
    assert 15 < ratios[0] < 60
    layers = [row for row in rows if row["op"] != "output"]
    assert {tuple(row["errors"]) for row in layers} == {("reference", "onnx")}


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("compile small.cnn --precision int8", "E0902", "needs a calibration"),
        ("compile small.cnn --precision bf16", "E0901", "no bf16 kernels"),
        ("compile small.cnn --target cuda --precision int8", "E0901", "no kernels"),
        ("compile small.cnn --min-snr 20", "E0902", "--precision int8"),
        ("compare small.cnn --targets reference,onnx --keep-float a", "E0902", "int8"),
        ("calibrate small.cnn --images none", "E0601", "no such folder"),
        ("calibrate small.cnn --input none.npy", "E0601", "none.npy"),
    ],
)
def test_what_cannot_be_done(call, line, code, message):
    result = call(*line.split(), "--seed", "0")
    assert result.code == 2
    assert f"error[{code}]" in result.err
    assert message in result.err


def test_calibrate_takes_one_kind_of_samples(call):
    assert "either --images or --input" in call("calibrate", "small.cnn").err


def test_an_image_that_cannot_be_read(call, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"\xff\xd8 no photo")
    result = call("calibrate", "small.cnn", "--seed", "0", "--images", "photos")
    assert (result.code, "error[E0606]" in result.err) == (2, True)
    assert not list(tmp_path.glob("*.calibration"))


def test_auto_says_what_it_takes(call):
    result = call("compile", "small.cnn", "--seed", "0", "--target", "cpu", "--precision", "auto")
    assert result.code == 0
    assert "precision f32: " in result.err or "precision bf16: " in result.err
