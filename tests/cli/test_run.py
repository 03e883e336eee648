import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnndsl
from cnndsl.runtime import arrays

TWO = """\
network two {
    input left [2, 4, 4]
    let kept = conv(3, 1)
    input right [3, 4, 4]
    let other = relu
    output sum = add { kept | other }
    output pooled = global_avgpool
}
"""


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


def expected(image):
    return cnndsl.compile("small.cnn", "reference", seed=0, dtype="float64")(image)


@pytest.mark.parametrize("target", ["onnx", "reference"])
def test_an_artefact_on_an_array(call, image, target):
    np.save("x.npy", image)
    suffix = {"onnx": ".onnx", "reference": ".cnnref"}[target]
    assert call("compile", "small.cnn", "--seed", 0, "--target", target).code == 0
    result = call("run", f"small{suffix}", "--input", "x.npy", "--output", "y.npy")
    assert result.code == 0
    assert result.out.startswith("y.npy  ")
    np.testing.assert_allclose(np.load("y.npy"), expected(image), rtol=1e-5)


def test_a_network_takes_the_options_of_compile(call, image):
    np.save("x.npy", image)
    options = ("--seed", 0, "--target", "cpu", "--winograd", "off", "--mcpu", "x86-64-v3")
    result = call(
        "run", "small.cnn", *options, "--batch", 2, "--input", "x.npy", "--output", "y.npy"
    )
    assert result.code == 0
    np.testing.assert_allclose(np.load("y.npy"), expected(image), rtol=1e-5)
    np.save("x.npy", image[:1])
    assert call("run", "small.cnn", *options, "--batch", 2, "--input", "x.npy").code == 2


def test_a_network_without_a_file_in_between_prints_classes(call, image, tmp_path):
    np.save("x.npy", image[:1])
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\n")
    result = call(
        "run",
        "small.cnn",
        "--seed",
        0,
        "--input",
        "image=x.npy",
        "--top",
        2,
        "--labels",
        "names.txt",
    )
    assert result.code == 0
    scores = expected(image[:1])[0]
    best = int(np.argmax(scores))
    rows = [line.split() for line in result.out.splitlines()]
    assert rows[0][0] == "class"
    assert rows[1] == [str(best), f"{scores[best]:.4f}", ["ant", "bee", "cat", "dog"][best]]
    assert len(rows) == 3


def test_a_network_at_another_level(call, image):
    np.save("x.npy", image)
    common = ("run", "small.cnn", "--seed", 0, "--input", "x.npy", "--output", "y.npy")
    for options in (["-O", 0], ["-O", 3, "--disable", "no-ops"]):
        assert call(*common, *options).code == 0
        np.testing.assert_allclose(np.load("y.npy"), expected(image), rtol=1e-5)
    wrong = call(*common, "--disable", "none")
    assert (wrong.code, "E0610" in wrong.err) == (2, True)


def test_several_inputs_and_outputs(call, tmp_path):
    (tmp_path / "two.cnn").write_text(TWO)
    random = np.random.default_rng(1)
    left, right = random.standard_normal((1, 2, 4, 4)), random.standard_normal((1, 3, 4, 4))
    np.savez("both.npz", left=left.astype(np.float32), right=right.astype(np.float32))
    outputs = ["--output", "all.npz", "--output", "sum=sum.npy"]
    assert call("run", "two.cnn", "--seed", 0, "--input", "both.npz", *outputs).code == 0
    module = cnndsl.compile("two.cnn", "reference", seed=0, dtype="float64")
    wanted = module(left=left, right=right)
    with np.load("all.npz") as found:
        assert set(found.files) == {"sum", "pooled"}
        np.testing.assert_allclose(found["pooled"], wanted["pooled"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.load("sum.npy"), wanted["sum"], rtol=1e-4, atol=1e-6)
    first = (tmp_path / "all.npz").read_bytes()
    call("run", "two.cnn", "--seed", 0, "--input", "both.npz", *outputs)
    assert (tmp_path / "all.npz").read_bytes() == first
    one = call("run", "two.cnn", "--seed", 0, "--input", "both.npz", "--output", "y.npy")
    assert one.code == 2
    assert "2 outputs" in one.err


def test_an_image(call):
    Image.new("RGB", (20, 30), "red").save("red.png")
    result = call("run", "small.cnn", "--seed", 0, "--image", "red.png", "--top", 1)
    assert result.code == 0
    assert len(result.out.splitlines()) == 2


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"
DAMAGED = {
    "empty": b"",
    "text": b"hello",
    "cut": npy(HEADER % b"1, 3, 8, 8", b"\0" * 10),
    "huge": npy(HEADER % b"99999999999, 99999999", b"\0" * 10),
    "no header": npy(b"{'descr': "),
    "zip": b"PK\x05\x06" + b"\0" * 18,
    "cut zip": b"PK\x03\x04" + b"\0" * 40,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_arrays(call, tmp_path, kind):
    (tmp_path / "x.npy").write_bytes(DAMAGED[kind])
    result = call("run", "small.cnn", "--seed", 0, "--input", "x.npy", "--output", "y.npy")
    assert result.code == 2
    assert "error[E060" in result.err
    assert not (tmp_path / "y.npy").exists()


def test_pickles_are_refused(call):
    np.save("x.npy", np.array([{}], dtype=object), allow_pickle=True)
    result = call("run", "small.cnn", "--seed", 0, "--input", "x.npy")
    assert result.code == 2
    assert "Python objects, which are refused" in result.err
    np.savez("x.npz", np.array([{}], dtype=object))
    assert "refused" in call("run", "small.cnn", "--seed", 0, "--input", "x.npz").err


def test_archives_that_unpack_to_too_much(call, monkeypatch):
    monkeypatch.setattr(arrays, "FREE_INPUTS", 1000)
    np.savez_compressed("x.npz", np.zeros(10_000))
    result = call("run", "small.cnn", "--seed", 0, "--input", "x.npz")
    assert (result.code, "far larger than the file" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no value for input image"),
        (["--input", "none.npy"], "no file none.npy"),
        (["--input", "wrong.npy"], "not 1x4x8x8"),
        (["--input", "x.npy", "--input", "x.npy"], "one input too many"),
        (["--input", "other=x.npy"], "'other' is not an input"),
        (["--input", "x.npy", "--output", "none=y.npy"], "no output 'none'"),
        (["--input", "x.npy", "--output", "no/y.npy"], "cannot write no/y.npy"),
        (["--image", "x.npy"], "cannot read the image"),
        (["--input", "x.npy", "--labels", "none.txt"], "cannot read none.txt"),
    ],
)
def test_wrong_calls(call, image, arguments, words):
    np.save("x.npy", image)
    np.save("wrong.npy", np.zeros((1, 4, 8, 8), np.float32))
    result = call("run", "small.cnn", "--seed", 0, *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_missing_and_damaged_artefacts(call, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    for model in ("none.onnx", "bad.onnx", "none.cnnref", "file.xyz"):
        result = call("run", model, "--input", "x.npy")
        assert result.code == 2
        assert "error[E06" in result.err


def test_results_for_machines(call, image, tmp_path):
    np.save("x.npy", image)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\n")
    options = ("--input", "x.npy", "--output", "y.npz", "--labels", "names.txt", "--top", 2)
    result = call("run", "small.cnn", "--seed", 0, *options, "--json")
    report = json.loads(result.out)
    assert report["files"] == [{"path": "y.npz", "bytes": (tmp_path / "y.npz").stat().st_size}]
    (output,) = report["outputs"]
    scores = expected(image)
    assert (output["name"], output["shape"]) == ("output", [2, 4])
    for sample, row in zip(output["samples"], scores, strict=True):
        best = np.argsort(-row)[:2]
        assert [entry["class"] for entry in sample] == best.tolist()
        assert [entry["label"] for entry in sample] == [
            ["ant", "bee", "cat", "dog"][i] for i in best
        ]
        np.testing.assert_allclose([entry["score"] for entry in sample], row[best], rtol=1e-5)


def test_maps_and_what_json_has_no_number_for(call, tmp_path):
    (tmp_path / "two.cnn").write_text(TWO)
    left = np.full((1, 2, 4, 4), np.nan, np.float32)
    np.savez("x.npz", left=left, right=np.ones((1, 3, 4, 4), np.float32))
    named = ("--output", "pooled=y.npz")
    result = call("run", "two.cnn", "--seed", 0, "--input", "x.npz", *named, "--json")
    summed, pooled = json.loads(result.out)["outputs"]
    assert summed == {"name": "sum", "shape": [1, 3, 4, 4], "minimum": "nan", "maximum": "nan"}
    assert pooled["name"] == "pooled"
    assert list(np.load("y.npz")) == ["pooled"]


@pytest.mark.parametrize("target", ["reference", "onnx", "cpu"])
def test_an_empty_batch_is_refused(call, image, target):
    np.save("x.npy", image[:0])
    result = call("run", "small.cnn", "--seed", 0, "--target", target, "--input", "x.npy")
    assert (result.code, "input 'image' is empty: 0x3x8x8" in result.err) == (2, True)


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_the_nearest_centre_comes_first(call, tmp_path, target):
    """Of an rbf layer the outputs are squared distances (LeCun et al. 1998, section II.B)."""
    (tmp_path / "near.cnn").write_text("network near { input x [2]\n rbf(3) }\n")
    np.savez("w.npz", **{"rbf1.centres": np.array([[5, 5], [1, 0], [-1, 2]], np.float32)})
    np.save("x.npy", np.array([[1.0, 1.0]], np.float32))
    suffix = {"onnx": ".onnx", "reference": ".cnnref"}[target]
    assert call("compile", "near.cnn", "--weights", "w.npz", "--target", target).code == 0
    for model, options in (
        ("near.cnn", ("--weights", "w.npz", "--target", target)),
        (f"near{suffix}", ()),
    ):
        result = call("run", model, *options, "--input", "x.npy", "--top", 3)
        found = [line.split() for line in result.out.splitlines()[1:]]
        assert found == [["1", "1.0000"], ["2", "5.0000"], ["0", "32.0000"]]


def test_photos_are_normalised_once(call):
    Image.new("RGB", (20, 20), "white").save("white.png")
    own = "normalize(mean=[0.5, 0.4, 0.3], std=[0.5, 0.3, 0.7])"
    text = f"network own {{\n    input image [3, 8, 8]\n    {own}\n}}\n"
    Path("own.cnn").write_text(text)
    Path("plain.cnn").write_text(text.replace(own, "identity"))
    told = ("--mean", "0.5,0.4,0.3", "--std", "0.5,0.3,0.7")
    for file, options in (("own.cnn", ()), ("plain.cnn", told)):
        assert (
            call("run", file, "--image", "image=white.png", *options, "--output", "y.npy").code == 0
        )
        y = np.load("y.npy")
        assert y.shape == (1, 3, 8, 8)
        np.testing.assert_allclose(y[0, :, 4, 4], [1, 2, 1], rtol=1e-6)


def test_each_input_has_a_photo_of_its_own(call):
    Image.new("RGB", (20, 20), "white").save("white.png")
    Image.new("L", (20, 20), "black").save("black.png")
    Path("two.cnn").write_text(
        "network two {\n"
        "    input photo [3, 8, 8] photo(mean=0.5, std=0.5)\n"
        "    input mask [1, 4, 4] photo(mean=0.5, std=0.25)\n"
        "    concat { photo -> global_avgpool | mask -> global_avgpool }\n"
        "}\n"
    )
    images = ("--image", "mask=black.png", "--image", "photo=white.png")
    assert call("run", "two.cnn", *images, "--output", "y.npy").code == 0
    np.testing.assert_allclose(np.load("y.npy"), [[1, 1, 1, -2]], rtol=1e-6)


def test_options_take_the_place_of_what_a_text_says_of_photos(call):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("noise.png")
    text = "network own {{\n    input image [3, 8, 8] {}\n    identity\n}}\n"
    Path("own.cnn").write_text(text.format("photo(crop=1, mean=0.25, std=0.5)"))
    Path("none.cnn").write_text(text.format(""))
    cases = [
        ("own.cnn", (), 0.25, 0.5, 1),
        ("own.cnn", ("--mean", "0.1,0.2,0.3"), [0.1, 0.2, 0.3], 0.5, 1),
        ("own.cnn", ("--order", "bgr", "--range", "255", "--mean", "9", "--std", "2"), 9, 2, 255),
        ("none.cnn", ("--crop", "1", "--mean", "0", "--std", "1"), 0, 1, 1),
    ]
    for file, options, mean, std, white in cases:
        result = call("run", file, "--image", "noise.png", *options, "--output", "y.npy")
        assert "ImageNet" not in result.err
        values = pixels[:, :, ::-1] if "bgr" in options else pixels
        expected = ((values / 255 * white - mean) / std).transpose(2, 0, 1)[None]
        np.testing.assert_allclose(np.load("y.npy"), expected, rtol=1e-5, atol=1e-6)
    assert "as for ImageNet" in call("run", "none.cnn", "--image", "noise.png").err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--range", "255"), "give mean and std"),
        (("--resize", "2"), "below the height of the input"),
        (("--crop", "0"), "0<x<=1"),
        (("--crop", "nan"), "not a finite number"),
        (("--std", "1e-40"), "too large for float32"),
        (("--mean", "1e39"), "float32 ends at 3.402823e+38"),
        (("--mean", "0.5,0.5"), "not one number, or three"),
        (("--std", "0"), "above 0"),
        (("--mean", "nan"), "not one number, or three"),
        (("--image", "white.png"), "one input too many"),
        (("--image", "other=white.png"), "inputs: image"),
    ],
)
def test_what_cannot_be_said_of_photos(call, options, said):
    Image.new("RGB", (20, 20), "white").save("white.png")
    result = call("run", "small.cnn", "--seed", 0, "--image", "white.png", *options)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize("count", [3, 5])
def test_names_that_are_not_as_many_as_the_classes(call, image, tmp_path, count):
    np.save("x.npy", image)
    (tmp_path / "names.txt").write_text("name\n" * count)
    result = call("run", "small.cnn", "--seed", 0, "--input", "x.npy", "--labels", "names.txt")
    assert (result.code, result.out) == (2, "")
    assert f"names.txt has {count} names, which is the number of classes of no" in result.err
    assert "output has 4 classes" in result.err


def test_each_sample_of_a_batch_has_its_number(call, image):
    np.save("x.npy", image)
    result = call("run", "small.cnn", "--seed", 0, "--input", "x.npy", "--top", 1)
    assert [line.split()[1] for line in result.out.splitlines()[::2]] == ["output[0]", "output[1]"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--image photo=p.png", "'photo' is not an input of the network"),
        ("--input image=", "'image=' names no file"),
        ("--input p.png", "photos come by --image"),
        ("--input x.npy --mean 0.5", "--mean is for photos, and no input is one"),
        ("--input x.npy --weights-map rules.map", "renames weights, but no weights were given"),
    ],
)
def test_what_counts_for_nothing_is_refused(call, options, said):
    Image.new("RGB", (8, 8), "white").save("p.png")
    result = call("run", "small.cnn", "--seed", 0, *options.split())
    assert (result.code, result.out) == (2, "")
    assert said in result.err
