"""No output destroys what a command reads."""

import os
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cnndsl
from cnndsl.runtime.files import check_suffix
from cnndsl.weights.files import save_safetensors
from cnndsl.weights.initialise import initialise

RUN = ("run", "small.cnn", "--seed", 0, "--input", "x.npy")


@pytest.fixture
def files(call, tmp_path):
    """The folder with all that commands may read, and links to it."""
    parameters = cnndsl.parse("small.cnn").graph.parameters()
    save_safetensors(tmp_path / "small.safetensors", initialise(parameters, 0))
    np.save("x.npy", np.zeros((1, 3, 8, 8), np.float32))
    (tmp_path / "labels.txt").write_text("ant\n")
    (tmp_path / "rules.map").write_text("a -> b\n")
    (tmp_path / "picture.svg").write_bytes((tmp_path / "small.cnn").read_bytes())
    (tmp_path / "other.cnn").write_text("block twice(n) { conv(n, 3) -> conv(n, 3) }\n")
    (tmp_path / "user.cnn").write_text(
        'import twice from "other.cnn"\n'
        "network user { input image [3, 8, 8]\n twice(4) -> c: conv(2, 3) }\n"
    )
    (tmp_path / "link.onnx").symlink_to("other.cnn")
    os.link(tmp_path / "x.npy", tmp_path / "same.npy")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "small.cnn", "--seed", 0, "-o", "small.cnn"),
        ("compile", "small.cnn", "--seed", 0, "-o", "./other.cnn"),
        ("compile", "small.cnn", "--seed", 0, "-o", "new.cnn"),
        ("compile", "small.cnn", "--seed", 0, "-o", "link.onnx"),
        ("compile", "small.cnn", "--weights", "small.safetensors", "-o", "small.safetensors"),
        ("inspect", "small.cnn", "--svg", "small.cnn"),
        ("draw", "picture.svg", "-o", "picture.svg"),
        ("weights", "convert", "small.safetensors", "--from", "keras", "--network", "small.cnn"),
        ("edit", "small.cnn", "--factorise", "stem=separable", "-o", "small.cnn"),
        ("edit", "user.cnn", "--factorise", "c=separable", "-o", "other.cnn"),
        ("edit", "small.cnn", "--factorise", "*=lowrank:9", "-o", "new.cnn",
         "--weights", "small.safetensors", "--output-weights", "small.safetensors"),
        (*RUN, "--output", "small.cnn"),
        (*RUN, "--output", "x.npy"),
        (*RUN, "--output", "same.npy"),
        (*RUN, "--output", "y.npy", "--output", "output=labels.txt", "--labels", "labels.txt"),
    ],
)  # fmt: skip
def test_a_source_is_left_as_it_is(call, files, arguments):
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "E0612" in result.err
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_outputs_are_replaced(call, files):
    for _ in range(2):
        assert call("compile", "small.cnn", "--weights", "small.safetensors").code == 0
        assert call("draw", "small.cnn").code == 0
        assert call(*RUN, "--output", "y.npy").code == 0
        edit = ("edit", "small.cnn", "--factorise", "stem=separable", "-o", "new.cnn")
        assert call(*edit).code == 0


@pytest.mark.parametrize("place", ["none/small.onnx", "small.cnn/small.onnx"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(call, place):
    result = call("compile", "small.cnn", "-o", place)
    assert (result.code, result.out) == (2, "")
    assert "E0602" in result.err


@pytest.mark.parametrize(
    ("target", "name"),
    [("cpu", "x.out"), ("cpu", "z.onnx"), ("cuda", "z"), ("onnx", "q.cnnmod"), ("onnx", "x.ONNX")],
)
def test_an_artefact_has_the_ending_of_its_target(call, tmp_path, target, name):
    result = call("compile", "small.cnn", "--seed", 0, "--target", target, "-o", name)
    assert (result.code, result.out) == (2, "")
    assert "E0613" in result.err
    assert "compile " not in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.cnn"]


@pytest.mark.parametrize("target", ["cpu", "onnx", "reference"])
def test_a_module_is_not_saved_under_another_ending(call, tmp_path, target):
    module = cnndsl.compile("small.cnn", target, seed=0)
    with pytest.raises(cnndsl.CnnError, match="does not end in"):
        module.save(tmp_path / "small.xyz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.cnn"]


def test_a_device_may_have_any_name():
    check_suffix(os.devnull, ".onnx")


def test_several_outputs_go_into_several_files(call, tmp_path):
    outputs = ("--output", "a=x.npy", "--output", f"b={tmp_path}/x.npy")
    result = call("run", "small.cnn", "--seed", 0, *outputs)
    assert (result.code, result.out) == (2, "")
    assert "one file is given as several outputs" in result.err


def test_a_link_to_itself_is_replaced(call, files):
    output = files / "y.npy"
    output.symlink_to(output.name)
    result = call(*RUN, "--output", "y.npy")
    assert (result.code, output.is_symlink()) == (0, False), result.err
    assert np.load(output).ndim


@pytest.mark.parametrize(
    "arguments",
    [
        (*RUN, "--output", "y.jpg"),
        (*RUN, "--output", "output=y.jpg"),
        (*RUN, "--output", "y"),
        (*RUN, "--output", "-"),
        ("weights", "convert", "small.safetensors", "--network", "small.cnn", "-o", "w.pth"),
        ("weights", "convert", "small.safetensors", "--network", "small.cnn", "-o", "-"),
        ("inspect", "small.cnn", "--svg", "y.png"),
        ("edit", "small.cnn", "--factorise", "*=lowrank:6", "-o", "new.cnn",
         "--weights", "small.safetensors", "--output-weights", "new.npz"),
        ("compile", "not_even_looked_for", "-o", "x.jpg"),
        ("weights", "convert", "no.pth", "--network", "not_even_looked_for", "-o", "w.pth"),
        ("inspect", "not_even_looked_for", "--svg", "y.png"),
    ],
)  # fmt: skip
def test_an_output_is_what_its_name_says(call, files, arguments):
    before = sorted(path.name for path in files.iterdir())
    result = call(*arguments)
    assert (result.code, "error[E0613]" in result.err) == (2, True)
    assert sorted(path.name for path in files.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "small.cnn", "--seed", 0, "-o", "out.onnx"),
        ("compile", "small.cnn", "--seed", 0, "--target", "cpu", "-o", "out.cnnmod"),
        ("draw", "small.cnn", "-o", "out.svg"),
        ("inspect", "small.cnn", "--svg", "out.svg"),
        (*RUN, "--output", "out.npy"),
        ("weights", "convert", "small.safetensors", "--network", "small.cnn",
         "-o", "out.safetensors"),
        ("edit", "small.cnn", "--factorise", "stem=separable", "-o", "out.cnn"),
    ],
)  # fmt: skip
def test_a_read_only_file_is_not_replaced(call, files, arguments):
    path = files / next(str(a) for a in arguments if str(a).startswith("out."))
    path.write_bytes(b"kept")
    path.chmod(0o444)
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert f"cannot write {path.name}: it is read-only" in result.err
    assert path.read_bytes() == b"kept"


def test_fmt_leaves_a_read_only_file(call, files):
    (files / "small.cnn").write_text("# x\n" + (files / "small.cnn").read_text() + "\n\n")
    (files / "small.cnn").chmod(0o444)
    before = (files / "small.cnn").read_bytes()
    result = call("fmt", "small.cnn")
    assert (result.code, "it is read-only" in result.err) == (2, True)
    assert (files / "small.cnn").read_bytes() == before


def test_every_artefact_goes_into_a_pipe(call, files):
    for target, suffix in (("onnx", "onnx"), ("reference", "cnnref"), ("cpu", "cnnmod")):
        command = ("compile", "small.cnn", "--seed", 0, "--target", target)
        assert call(*command, "-o", f"small.{suffix}").code == 0
        os.mkfifo(files / "pipe")
        with ThreadPoolExecutor() as pool:
            content = pool.submit((files / "pipe").read_bytes)
            assert call(*command, "-o", "pipe").code == 0
        assert content.result() == (files / f"small.{suffix}").read_bytes()
        (files / "pipe").unlink()


@pytest.mark.parametrize("options", ["--target cpu --emit library", "--target wasm"])
def test_a_folder_with_other_files_is_refused_before_anything_is_compiled(call, tmp_path, options):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    result = call("compile", "small.cnn", "--seed", 0, *options.split(), "-o", "full")
    assert (result.code, result.out) == (2, "")
    assert "it has other files, thesis.tex" in result.err
    assert "\ncompile " not in result.err


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("compile small.cnn --seed 0 --target reference", "model.cnnref"),
        ("calibrate small.cnn --weights small.safetensors --input x.npy", "model.calibration"),
        ("weights convert small.safetensors --network small.cnn", "model.safetensors"),
        ("draw small.cnn", "model.svg"),
        ("view small.cnn", "model.html"),
    ],
)
def test_in_a_folder_it_is_model_and_suffix(call, files, command, name):
    for folder in ("new/", "new", "new/."):
        assert call(*command.split(), "-o", folder).code == 0
        assert [path.name for path in (files / "new").iterdir()] == [name]
        (files / "new" / name).unlink()
    before = sorted(files.iterdir())
    result = call(*command.split(), "-o", "")
    assert (result.code, "it is empty" in result.err) == (2, True)
    assert sorted(files.iterdir()) == before


def test_training_writes_beside_its_output(call, files):
    for place, code in ((os.devnull, "E0602"), ("small.onnx", "E0613")):
        result = call("train", "lenet5", "--data", "digits", "--engine", "native", "-o", place)
        assert (result.code, code in result.err) == (2, True)


def test_a_module_of_another_target_stays_unless_it_is_named(call, tmp_path, monkeypatch):
    made = SimpleNamespace(metadata={"target": "cuda"})
    monkeypatch.setattr("cnndsl.artefacts.load", lambda path: made)
    (tmp_path / "small.cnnmod").write_bytes(b"old")
    command = ("compile", "small.cnn", "--target", "cpu")
    result = call(*command, "--seed", 0)
    assert (result.code, result.out) == (2, "")
    assert "small.cnnmod is a module of the target cuda" in result.err
    assert (tmp_path / "small.cnnmod").read_bytes() == b"old"
    assert "E0402" in call(*command, "-o", "small.cnnmod").err


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("new/large.cnn", ("import", "large.onnx", "-o", "new")),
        ("new/small.cnn", ("edit", "small.cnn", "--set", "classes=999",
                           "--factorise", "stem=separable", "--weights", "large.safetensors",
                           "-o", "new/small.cnn", "--output-weights", "new/small.safetensors")),
        ("new/small.py", ("compile", "small.cnn", "--set", "classes=999", "--seed", 0,
                          "--target", "torch", "-o", "new/small.py")),
    ],
)  # fmt: skip
def test_a_text_does_not_come_without_its_weights(call, tmp_path, monkeypatch, text, arguments):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python would write it cut off.
    net = cnndsl.parse("small.cnn", settings={"classes": 999})
    save_safetensors("large.safetensors", initialise(net.graph.parameters(), 0))
    cnndsl.compile(net, "onnx", seed=0).save("large.onnx")
    (tmp_path / "new").mkdir()
    (tmp_path / text).write_text("there before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
    try:
        done = call(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (done.code, "E0602" in done.err, "File too large" in done.err) == (2, True, True)
    assert os.listdir(tmp_path / "new") == [Path(text).name]
    assert (tmp_path / text).read_text() == "there before"
