"""Calibration: what is measured, its file, and what is wrong with files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.ir.operators import Subsample
from cnndsl.ir.quantisation import Quantisation
from cnndsl.quantise.calibration import read_calibration
from cnndsl.quantise.collect import Settings
from cnndsl.quantise.prepare import prepare
from cnndsl.quantise.ranges import METHODS, Histogram, codes_for
from cnndsl.quantise.samples import Arrays, Photos
from tests.quantise.conftest import Small


def test_a_file_is_what_was_measured(small: Small) -> None:
    found = read_calibration(small.file)
    assert list(found.tensors) == list(small.calibration.tensors)
    for name, row in small.calibration.tensors.items():
        again = found.tensors[name]
        assert (again.quantisation, again.mean, again.peak) == (
            row.quantisation,
            row.mean,
            row.peak,
        )
    assert (found.structure, found.samples) == (small.calibration.structure, 6)
    lines = small.file.read_text().splitlines()
    assert sum('"scale"' in line for line in lines) == len(found.tensors)


def test_nodes_that_passes_add_are_measured() -> None:
    """A shortcut whose sum a convolution skips through is subsampled: one more node."""
    network = cnndsl.parse("""network n {
        input x [3, 8, 8]
        add { conv(3, 3) -> relu -> conv(3, 1) | identity } -> relu -> conv(4, 1, stride=2) -> fc(2)
    }""")
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    settings = Settings(equalised=False)
    found = cnndsl.calibrate(network, [{"x": x}], seed=0, settings=settings).tensors
    (added,) = (x for x in prepare(network.graph, 2).nodes() if isinstance(x.op, Subsample))
    assert found[added.name].mean == pytest.approx(x[:, :, ::2, ::2].mean((0, 2, 3)), rel=1e-3)


def test_rectified_tensors_have_the_zero_point_zero(small: Small) -> None:
    tensors = small.calibration.tensors
    assert tensors["conv2"].quantisation.zero == 0
    assert 0 < tensors["a"].quantisation.zero < 255


def test_symmetric_zero_points(small: Small) -> None:
    found = cnndsl.calibrate(
        small.network, [{"image": small.samples}], seed=0, settings=Settings(symmetric=True)
    )
    assert {row.quantisation.zero for row in found.tensors.values()} == {128}


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "nan": (lambda d: d["tensors"]["a"].update(scale=float("nan")), "tensors.a.scale is NaN"),
    "negative": (lambda d: d["tensors"]["a"].update(scale=-1.0), "tensors.a: a scale is"),
    "zero scale": (lambda d: d["tensors"]["a"].update(scale=0), "tensors.a: a scale is"),
    "text": (lambda d: d["tensors"]["a"].update(scale="1"), 'tensors.a.scale is "1"'),
    "huge": (lambda d: d["tensors"]["a"].update(scale=10**400), "no finite number"),
    "no scale": (lambda d: d["tensors"]["a"].pop("scale"), "tensors.a.scale is missing"),
    "no code": (lambda d: d["tensors"]["a"].update(zero=256), "tensors.a: a zero point is"),
    "half a code": (lambda d: d["tensors"]["a"].update(zero=1.5), "tensors.a.zero is 1.5"),
    "mean": (lambda d: d["tensors"]["a"].update(mean=[None]), "tensors.a.mean[0] is null"),
    "means": (lambda d: d["tensors"]["a"].update(mean=[1.0]), "has 1 numbers, not 8"),
    "far": (lambda d: d["tensors"]["a"].update(mean=[1e300] * 8), "more than codes can stand for"),
    "peaks": (lambda d: d["tensors"]["a"].update(peak=[1e30] * 8), "tensors.a.peak[0] is 1e+30"),
    "unknown": (lambda d: d["tensors"]["a"].update(scal=1), "tensors.a.scal is unknown"),
    "tensor": (lambda d: d["tensors"].pop("a"), "tensors.a is missing"),
    "other": (lambda d: d["tensors"].update(z=d["tensors"]["a"]), "tensors.z is no tensor"),
    "list": (lambda d: d.update(tensors=[]), "tensors is no JSON object"),
    "format": (lambda d: d.update(format=9), "its format is 9"),
    "no format": (lambda d: d.update(format=True), "its format is True"),
    "level": (lambda d: d.update(level=True), "level is true"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_broken_files_are_errors(small: Small, tmp_path: Path, change: str) -> None:
    make, message = CHANGES[change]
    data = json.loads(small.file.read_text())
    make(data)
    path = tmp_path / "broken.calibration"
    path.write_text(json.dumps(data))
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.compile(small.network, "onnx", seed=0, precision="int8", calibration=path)
    assert "E0903" in str(caught.value)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "it is no JSON"), (b"[1]", "no JSON object"), (b"\xff", "it is no JSON"),
     (b'{"format": 1, "format": 1}', "twice"), (b"[" * 100_000, "it is no JSON")],
)  # fmt: skip
def test_what_is_no_json_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.calibration"
    path.write_bytes(content)
    with pytest.raises(cnndsl.CnnError, match="E0903") as caught:
        read_calibration(path)
    assert message in str(caught.value)


def test_a_pipe_that_nobody_writes_to_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.calibration")
    with pytest.raises(cnndsl.CnnError, match=r"E0601.*no regular file"):
        read_calibration(tmp_path / "x.calibration")


def test_calls_that_cannot_be_met(small: Small, tmp_path: Path) -> None:
    other = cnndsl.parse("network other {\n input image [3, 16, 16]\n conv(8, 3) -> fc(5) }")

    def compiled(net: cnndsl.Network = small.network, **options: Any) -> None:
        cnndsl.compile(net, seed=0, **{"target": "onnx", "precision": "int8", **options})

    for code, options in {
        "E0904": {"net": other, "calibration": small.file},
        "E0902": {},
        "E0601": {"calibration": tmp_path / "none.calibration"},
        "E0906": {"calibration": small.file, "keep_float": ["conv9"]},
        "E0901": {"target": "cuda"},
    }.items():
        with pytest.raises(cnndsl.CnnError, match=code):
            compiled(**options)
    with pytest.raises(cnndsl.CnnError, match="E0902"):
        compiled(precision="f32", calibration=small.file)
    with pytest.raises(cnndsl.CnnError, match="no bf16 kernels"):
        compiled(precision="bf16")
    with pytest.raises(cnndsl.CnnError, match="E0904"):
        compiled(calibration=small.file, level=1)


def test_samples_that_cannot_be_used(small: Small, tmp_path: Path) -> None:
    inputs = small.network.inputs
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"no photo")
    for code, use in {
        "E0601": lambda: Photos.of(tmp_path / "none"),
        "E0905": lambda: Photos.of(tmp_path / "empty"),
        "E0606": lambda: list(Photos.of(tmp_path).batches(inputs)),
        "E0604": lambda: list(Arrays({"x": small.samples}).batches(inputs)),
    }.items():
        with pytest.raises(cnndsl.CnnError, match=code):
            use()
    bad = np.full((1, 3, 16, 16), np.inf, np.float32)
    for batches in ([], [{"image": bad}]):
        with pytest.raises(cnndsl.CnnError, match="E0905"):
            cnndsl.calibrate(small.network, batches, seed=0)


def test_a_histogram_widens_and_counts_all() -> None:
    seen = Histogram()
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(2, 3, 50)) * scale for scale in (1, 30, 0.1)]
    for part in parts:
        seen.add(part)
    every = np.concatenate(parts)
    assert seen.counts.sum() == every.size
    assert (seen.low, seen.high) == (every.min(), every.max())
    np.testing.assert_allclose(seen.mean, every.mean((0, 2)))
    assert abs((seen.centres * seen.counts).sum() - every.sum()) < 0.02 * np.abs(every).sum()


@pytest.mark.parametrize("method", METHODS)
def test_methods_leave_out_a_stray_value(method: str) -> None:
    """A single value far outside widens the range of min and max alone."""
    seen = Histogram()
    values = np.random.default_rng(0).normal(size=(1, 1, 100_000))
    values[0, 0, 0] = 40
    seen.add(values)
    found = codes_for(seen, method, symmetric=False)
    assert found.high > 3
    assert (found.high > 39) == (method == "minmax")


@pytest.mark.parametrize("method", METHODS)
def test_zeros_behind_a_relu_do_not_narrow_the_range(method: str) -> None:
    """Zero has a code of its own: half of the values are exact whatever the range is."""
    seen = Histogram()
    values = np.maximum(np.random.default_rng(2).laplace(size=(1, 1, 100_000)) - 1, 0)
    seen.add(values)
    found = codes_for(seen, method, symmetric=False)
    error = found.decode(found.encode(values)) - values
    assert 10 * np.log10((values**2).sum() / (error**2).sum()) > 28


def test_mean_squared_error_finds_the_best_share() -> None:
    """By trying it on the values themselves."""
    seen = Histogram()
    values = np.random.default_rng(1).laplace(size=(1, 1, 20_000))
    seen.add(values)

    def error(q: Quantisation) -> float:
        return float(((q.decode(q.encode(values)) - values) ** 2).sum())

    best = error(codes_for(seen, "mse", symmetric=False))
    for share in np.linspace(0.2, 1, 30):
        assert best <= 1.02 * error(Quantisation.covering(share * seen.low, share * seen.high))
