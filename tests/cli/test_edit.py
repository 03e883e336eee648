import io

import numpy as np

import cnndsl
from cnndsl.weights.files import load_weights, save_safetensors
from cnndsl.weights.initialise import initialise

WEIGHTS = ["--weights", "none.pt", "--output-weights", "p.safetensors"]


def test_an_edit_is_written_and_told(call, tmp_path):
    result = call(
        "edit", "small.cnn", "--factorise", "stem=asymmetric", "--between", "relu", "-o", "new.cnn"
    )
    assert (result.code, result.out) == (0, "new.cnn:small\n")
    assert (
        "stem: { conv(6, [1, 3]) -> relu -> conv(6, [3, 1]) }\n    relu"
        in (tmp_path / "new.cnn").read_text()
    )
    assert "stem -> stem.conv1, stem.relu1, stem.conv2\n" in result.err
    assert "parameters 196 -> 202\n" in result.err
    assert call("check", "new.cnn").code == 0


def test_weights_go_with_it(call, tmp_path):
    parameters = cnndsl.parse(tmp_path / "small.cnn").graph.parameters()
    save_safetensors(tmp_path / "small.safetensors", initialise(parameters, 0), {})
    files = ("--weights", "small.safetensors", "--output-weights", "new.safetensors")
    result = call("edit", "small.cnn", "--factorise", "*=lowrank:9", "-o", "new.cnn", *files)
    assert result.code == 0
    assert "relative error" in result.err
    assert "5 arrays in new.safetensors, 0 parameters to train" in result.err
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    before, after = (
        cnndsl.compile(
            f"{name}.cnn:small", "reference", weights=load_weights(f"{name}.safetensors")
        ).run({"image": image})["output"]
        for name in ("small", "new")
    )
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_pruning_goes_behind_an_edit_and_alone(call, tmp_path):
    parameters = cnndsl.parse(tmp_path / "small.cnn").graph.parameters()
    save_safetensors(tmp_path / "w.safetensors", initialise(parameters, 0), {})
    given = ("--weights", "w.safetensors", "--output-weights", "p.safetensors")
    alone = call("edit", "small.cnn", "--prune", "stem=0.5", *given)
    assert alone.code == 0
    wanted = call(
        "weights", "prune", "small.cnn", "w.safetensors", "stem=0.5", "-o", "q.safetensors"
    )
    assert alone.out.replace("p.safe", "q.safe") == wanted.out
    assert (tmp_path / "p.safetensors").read_bytes() == (tmp_path / "q.safetensors").read_bytes()
    edit = ("edit", "small.cnn", "--factorise", "stem=lowrank:3", "-o", "new.cnn")
    assert call(*edit, *given).code == 0
    whole = load_weights(tmp_path / "p.safetensors")
    assert call(*edit, *given, "--prune", "stem.*=0.25", "--scope", "global").code == 0
    pruned = load_weights(tmp_path / "p.safetensors")
    kernels = [name for name in whole if name.startswith("stem.") and name.endswith(".weight")]
    assert len(kernels) == 2
    zeros = sum(int((pruned[name] == 0).sum()) for name in kernels)
    assert zeros == round(0.25 * sum(whole[name].size for name in kernels))
    for name, array in whole.items():
        kept = pruned[name] != 0
        np.testing.assert_array_equal(pruned[name][kept], array[kept])
        assert name in kernels or np.array_equal(pruned[name], array)


def test_nothing_is_written_on_an_error(call, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments, code in [
        (["--factorise", "stem=stack3x3", "-o", "new.cnn"], 1),
        (["--factorise", "stem=halve", "-o", "new.cnn"], 2),
        (["--factorise", "stem", "-o", "new.cnn"], 2),
        (["--factorise", "stem=separable", "-o", "new.txt"], 2),
        (["--factorise", "stem=separable", "-o", "new.cnn", "--weights", "none.pt"], 2),
        (["--factorise", "stem=separable", "-o", "gone/new.cnn"], 2),
        (["--factorise", "stem=separable"], 2),
        (["--prune", "stem=0.5"], 2),
        (["--prune", "stem=2", *WEIGHTS], 2),
        (["--prune", "stem=0.5", "-o", "new.cnn", *WEIGHTS], 2),
    ]:
        result = call("edit", "small.cnn", *arguments)
        assert (result.code, result.out) == (code, ""), arguments
        assert result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_settings_and_shapes_hold_before_and_after(call, tmp_path):
    edit = ("edit", "small.cnn", "--factorise", "stem=asymmetric", "-o", "new.cnn")
    assert "parameters 203 -> 209\n" in call(*edit, "--set", "classes=5").err
    larger = call(*edit, "--input-shape", "image=3x16x16").err
    assert "multiply-adds 41.5 k -> 41.5 k" in larger
    assert "classes=4" in (tmp_path / "new.cnn").read_text()
    assert call(*edit, "--set", "clases=5").code == 1


def test_a_replacement_that_is_not_cheaper_is_warned_of(call):
    edit = ("edit", "small.cnn", "-o", "new.cnn", "--factorise")
    larger = call(*edit, "stem=lowrank:9")
    assert larger.code == 0
    assert "warning[W0208]: what replaces stem is not cheaper: parameters 168 -> 249" in larger.err
    assert "W0208" not in call(*edit, "stem=lowrank:2").err
    assert "W0208" in call(*edit, "stem=lowrank:7").err
    assert "W0208" not in call(*edit, "stem=lowrank:6").err


def test_texts_alone_are_edited_and_stdin_is_one(call, tmp_path, monkeypatch):
    for name, hint in {"net.onnx": "`cnndsl import` makes a text", "net.cnnmod": ""}.items():
        (tmp_path / name).write_bytes(b"\xff")
        result = call("edit", name, "--factorise", "*=separable", "-o", "new.cnn")
        assert (result.code, result.out) == (2, "")
        assert f"{name} is no text; this command edits texts" in result.err
        assert hint in result.err
    text = io.BytesIO((tmp_path / "small.cnn").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(text))
    result = call("edit", "-", "--factorise", "stem=separable", "-o", "new.cnn")
    assert (result.code, result.out) == (0, "new.cnn:small\n")


def test_weights_with_other_names_are_told(call, tmp_path):
    values = initialise(cnndsl.parse(tmp_path / "small.cnn").graph.parameters(), 0)
    values["strange"] = np.ones(3, np.float32)
    save_safetensors(tmp_path / "small.safetensors", values, {})
    files = ("--weights", "small.safetensors", "--output-weights", "new.safetensors")
    result = call("edit", "small.cnn", "--factorise", "*=lowrank:9", "-o", "new.cnn", *files)
    assert result.code == 0
    assert "the weights have 1 name that the network does not have" in result.err
