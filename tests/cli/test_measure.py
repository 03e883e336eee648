import json

import numpy as np
import pytest

import cnndsl


def test_bench_of_a_network_as_json(call):
    result = call("bench", "small.cnn", "--target", "cpu", "--against", "onnxruntime", "--layers",
                  "--seconds", 0.05, "--threads", 1, "--batch", 3, "--json")  # fmt: skip
    assert result.code == 0
    data = json.loads(result.out)
    assert (data["network"], data["batch"], data["threads"]) == ("small", 3, 1)
    ours, theirs = data["runtimes"]
    assert (ours["name"], theirs["name"], ours["ratio"]) == ("cpu", "onnxruntime", 1.0)
    for row in data["runtimes"]:
        calls = [time for times in row["rounds_ms"] for time in times]
        assert row["calls"] == len(calls)
        assert row["p90_ms"] == pytest.approx(np.percentile(calls, 90))
        assert row["samples_per_second"] == pytest.approx(3e3 / np.mean(calls))
        assert row["working_bytes"] == row["peak_bytes"] - row["weight_bytes"]
    inspected = json.loads(call("inspect", "small.cnn", "--json").out)
    assert sum(layer["macs"] for layer in data["layers"]) == 3 * inspected["macs"]
    for layer in data["layers"]:
        assert layer["gflops"] == pytest.approx(2e-6 * layer["macs"] / layer["ms"])


def test_bench_of_an_artefact_as_tables(call):
    assert call("compile", "small.cnn", "--seed", 0, "--target", "cpu").code == 0
    result = call("bench", "small.cnnmod", "--seconds", 0.05, "--threads", 1, "--top", 2)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "small, batch 1, threads 1"
    assert lines[2].split()[0] == "cpu"
    head = next(index for index, line in enumerate(lines) if line.startswith("layer"))
    first, second = (float(line.split()[4]) for line in lines[head + 1 : head + 3])
    assert first >= second
    assert lines[head + 3].startswith("all layers: ")


@pytest.mark.parametrize(
    ("options", "code"), [(["--against", "tensorrt"], "E0730"), (["--layers"], "E0733")]
)
def test_bench_errors(call, options, code):
    result = call("bench", "small.cnn", "--target", "onnx", "--seconds", 0.05, *options)
    assert (result.code, result.out) == (2, "")
    assert code in result.err


def test_compare_agrees(call):
    result = call("compare", "small.cnn", "--seed", 3)
    assert result.code == 0
    assert "!" not in result.out
    lines = [line.split() for line in result.out.splitlines()]
    figures = [word for target in ("reference", "onnx", "cpu") for word in (target, "local", "dB")]
    assert lines[0] == ["layer", "operator", "shape", *figures]
    assert lines[1][:3] == ["stem", "conv+relu", "1x6x8x8"]
    assert lines[-1][:2] == ["output", "output"]


def test_compare_names_the_first_divergence(call):
    result = call("compare", "small.cnn", "--tolerance", 1e-12, "--winograd", "off")
    assert result.code == 1
    assert "onnx diverges first at stem" in result.out
    assert "cpu diverges first at stem" in result.out
    data = json.loads(call("compare", "small.cnn", "--tolerance", 1e-12, "--json").out)
    assert data["first_divergences"] == {"onnx": "stem", "cpu": "stem"}
    row = data["rows"][0]
    for target, error in row["errors"].items():
        assert 1e-12 < error <= row["local_errors"][target] < 1e-3
        assert 60 < row["snr_db"][target] < 200


def test_compare_takes_arrays_and_weights(call):
    module = cnndsl.compile("small.cnn", "reference", seed=5)
    np.savez("w.npz", **module.values)
    np.save("x.npy", np.zeros((2, 3, 8, 8), np.float32))
    data = call("compare", "small.cnn", "--targets", "reference,onnx", "--input", "x.npy", "--json")
    assert {row["shape"][0] for row in json.loads(data.out)["rows"]} == {2}
    wrong = call("compare", "small.cnn", "--targets", "reference,onnx", "--input", "w.npz")
    assert (wrong.code, "E0604" in wrong.err) == (2, True)


@pytest.mark.parametrize("options", [["--targets", "reference,none"], ["--weights", "none.st"]])
def test_compare_of_nothing(call, options):
    result = call("compare", "small.cnn", *options)
    assert result.code == 2
    assert "E060" in result.err


def test_open_sizes_have_to_be_given(call, tmp_path):
    (tmp_path / "open.cnn").write_text("network open { input x [3, H, W]\n conv(2, 3) }\n")
    for line in (
        ("compare", "open.cnn"),
        ("bench", "open.cnn", "--target", "cpu"),
        ("compile", "open.cnn", "--seed", 0, "--target", "cuda"),
    ):
        result = call(*line)
        assert (result.code, "E06" in result.err) == (2, True), line
    assert call("compare", "open.cnn", "--input-shape", "x=3x8x8").code == 0
