import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import onnx
import pytest

import cnndsl
from cnndsl import api
from cnndsl.analysis.report import report
from cnndsl.cli.main import VERBS
from cnndsl.diagnostics.codes import CATALOGUE
from cnndsl.ir.operators import BY_NAME
from cnndsl.weights.files import save_safetensors
from cnndsl.weights.initialise import initialise

BROKEN = "network broken {\n    input image [3, 8, 8]\n    convv(6, 3)\n    fc(0)\n}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(call, verb):
    result = call(verb, "--help")
    assert result.code == 0
    assert f"cnndsl {verb}" in result.out


def test_help_and_version(call):
    listed = call("--help").out
    assert all(f"  {verb} " in listed for verb in VERBS)
    assert call("--version").out == f"cnndsl, version {cnndsl.__version__}\n"


def test_check(call, tmp_path):
    fine = call("check", "small.cnn")
    assert (fine.code, fine.out) == (0, "")
    assert fine.err == "1 network file: 0 errors, 0 warnings\n"
    (tmp_path / "broken.cnn").write_text(BROKEN)
    bad = call("check", ".")
    assert bad.code == 1
    assert "convv" in bad.out
    assert "broken.cnn:3:5" in bad.out
    assert bad.err.startswith("2 network files: ")


def test_check_in_other_formats(call, tmp_path):
    (tmp_path / "broken.cnn").write_text(BROKEN)
    found = json.loads(call("check", "broken.cnn", "--output-format", "json").out)
    assert found[0]["line"] == 3
    lines = call("check", "broken.cnn", "--output-format=github").out.splitlines()
    assert len(lines) == len(found)
    assert lines[0].startswith("::error file=broken.cnn,line=3,col=5,")
    assert call("check", "small.cnn", "--output-format", "json").out == "[]\n"


def test_check_reports_all_files_if_some_cannot_be_read(call, tmp_path):
    (tmp_path / "broken.cnn").write_text(BROKEN.replace("    fc(0)\n", ""))
    (tmp_path / "binary.cnn").write_bytes(b"network \xff")
    names = ["broken.cnn", "binary.cnn", "missing.cnn", "small.cnn:big", "small.cnn"]
    result = call("check", *names)
    assert result.code == 2
    for message in ("'convv'", "binary.cnn is not a text", "'missing.cnn'", "no network 'big'"):
        assert message in result.out
    assert result.err == "5 network files: 4 errors, 0 warnings\n"
    found = json.loads(call("check", *names, "--output-format", "json").out)
    files = [(finding["file"], finding["line"]) for finding in found]
    assert files == [("broken.cnn", 3), *((name, None) for name in (*names[1:3], "small.cnn"))]
    lines = call("check", *names, "--output-format", "github").out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"::error file={f}" for f, _ in files]


def test_a_warning_is_a_finding_of_check_only(call, tmp_path):
    unused = "    let unused = relu\n"
    text = (tmp_path / "small.cnn").read_text().replace("    relu", f"{unused}    relu")
    (tmp_path / "small.cnn").write_text(text)
    assert call("check", "small.cnn").code == 1
    inspected = call("inspect", "small.cnn")
    assert inspected.code == 0
    assert "warning[W" in inspected.err
    assert "warning" not in inspected.out


def test_compile_writes_the_artefact_under_the_networks_name(call, tmp_path):
    result = call("compile", "small.cnn", "--seed", 0)
    assert result.code == 0
    assert result.out.startswith("small.onnx  ")
    assert [line.split()[0] for line in result.err.splitlines()] == [
        "parse", "compile", "takes", "write"
    ]  # fmt: skip
    onnx.checker.check_model(onnx.load(tmp_path / "small.onnx"), full_check=True)


def test_compile_with_settings_shape_batch_and_target(call, tmp_path):
    options = ["--seed", 1, "--set", "classes=7", "--input-shape", "image=3x12x10", "--batch", 2]
    assert call("compile", "small.cnn", *options, "-o", "big.onnx").code == 0
    module = cnndsl.load("big.onnx")
    assert module.outputs[0].type.shape == (7,)
    assert module.inputs[0].batch == 2
    assert call("compile", "small.cnn", "--seed", 1, "--target", "reference").code == 0
    assert (tmp_path / "small.cnnref").is_file()


def test_compile_without_weights_says_what_to_do(call, tmp_path):
    result = call("compile", "small.cnn")
    assert result.code == 2
    assert "--seed" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.cnn"]


def test_inspect_json_is_the_report(call):
    found = json.loads(call("inspect", "small.cnn", "--json").out)
    assert found == {**report(cnndsl.parse("small.cnn")), "recipe": None}
    assert found["stages"][0] == ["stem", 6, 8, 8]
    assert found["params"] == 6 * 3 * 9 + 6 + 6 * 4 + 4
    assert found["macs"] == 6 * 3 * 9 * 64 + 24


def test_inspect_layers(call):
    found = json.loads(call("inspect", "small.cnn", "--layers", "--json").out)
    assert [layer["kind"] for layer in found["layers"]] == ["conv", "global_avgpool", "fc"]
    assert found["layers"][0] == {
        "name": "stem", "kind": "conv", "kernel": [3, 3], "filters": 6, "stride": [1, 1],
        "padding": [[1, 1], [1, 1]], "dilation": [1, 1], "groups": 1, "activation": "relu",
        "inputs": [[3, 8, 8]], "outputs": [[6, 8, 8]], "weights": 162, "biases": 6, "macs": 10368,
    }  # fmt: skip
    assert (found["total"]["weights"], found["total"]["biases"], found["depth"]) == (186, 10, 2)
    text = call("inspect", "small.cnn", "--layers").out
    assert text == call("inspect", "small.cnn", "--layers", "--format", "text").out
    total = text.splitlines()[-1].split()
    assert total == ["total", "depth", "2", "3x8x8", "4", "186", "10", "10,392"]
    for wrong in ("--format csv", "--layers --format csv --json", "--layers --passes"):
        refused = call("inspect", "small.cnn", *wrong.split())
        assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize(
    ("target", "suffix", "options", "fact"),
    [
        ("cpu", "cnnmod", "--batch 2 --winograd off", "arena_bytes"),
        ("reference", "cnnref", "--batch 3", "dtype"),
    ],
)
def test_modules_tell_how_they_were_made(call, tmp_path, target, suffix, options, fact):
    """So does `inspect`, except of .onnx files, which it shows as networks."""
    made = call("compile", "small.cnn", "--seed", 0, "--target", target, *options.split())
    assert made.code == 0
    module = cnndsl.load(f"small.{suffix}")
    asked = options.replace("--", "").split()
    pairs = sorted("=".join(pair) for pair in zip(asked[::2], asked[1::2], strict=True))
    assert sorted(module.metadata["options"].split()) == pairs
    assert module.metadata["parameters"] == str(6 * 3 * 9 + 6 + 6 * 4 + 4)
    assert module.facts["weights_bytes"] >= 4 * (6 * 3 * 9 + 6 + 6 * 4 + 4)
    assert fact in module.facts
    if target == "onnx":
        return
    found = json.loads(call("inspect", f"small.{suffix}", "--json").out)
    size = (tmp_path / f"small.{suffix}").stat().st_size
    assert found["facts"] == {"file_bytes": size, **module.facts}
    assert found["metadata"] == module.metadata
    text = call("inspect", f"small.{suffix}").out
    assert re.search(r"weights +\d.* k?B\n", text)


def test_inspect_text(call):
    result = call("inspect", "small.cnn", "--set", "classes=5", "--depth", 1)
    assert result.code == 0
    assert "203 parameters" in result.out
    assert "\x1b" not in result.out
    call("compile", "small.cnn", "--seed", 0, "--target", "reference")
    assert "input image" in call("inspect", "small.cnnref").out


def test_draw(call, tmp_path):
    assert call("draw", "small.cnn").out.startswith("small.svg  ")
    ElementTree.parse(tmp_path / "small.svg")
    assert call("draw", "small.cnn", "-o", "-").out == (tmp_path / "small.svg").read_text()
    assert not (tmp_path / "-").exists()
    assert call("draw", "small.cnn", "-o", "other.dot").code == 0
    assert (tmp_path / "other.dot").read_text().startswith("digraph")
    result = call("draw", "small.cnn", "-o", "small.png")
    assert result.code == 2
    assert "E0607" in result.err


def test_view(call, tmp_path):
    assert call("view", "small.cnn").out.startswith("small.html  ")
    assert (tmp_path / "small.html").read_text().startswith("<!doctype html>")
    assert call("view", "small.cnn", "-o", "-").out == (tmp_path / "small.html").read_text()
    result = call("view", "small.cnn", "-o", "small.svg")
    assert (result.code, "E0613" in result.err) == (2, True)
    assert call("view", "small.cnn", "--serve", "-o", "small.html").code == 2
    assert call("view", "small.cnn", "--port", 8000).code == 2


def test_fmt(call, tmp_path):
    canonical = (tmp_path / "small.cnn").read_text()
    assert call("fmt", "small.cnn", "--check").code == 0
    (tmp_path / "small.cnn").write_text(canonical.replace("    ", "  ").replace(" -> ", "->"))
    assert call("fmt", ".", "--check").out == "small.cnn would be reformatted\n"
    difference = call("fmt", "small.cnn", "--diff")
    assert difference.code == 1
    assert "\n-  relu->global_avgpool->fc(classes)->softmax\n" in difference.out
    assert "\n+    relu -> global_avgpool -> fc(classes) -> softmax\n" in difference.out
    result = call("fmt", "small.cnn")
    assert (result.code, result.out) == (0, "small.cnn reformatted\n")
    assert (tmp_path / "small.cnn").read_text() == canonical


@pytest.mark.parametrize("options", [[], ["--check"], ["--diff"]])
def test_fmt_of_a_folder_without_networks(call, tmp_path, options):
    (tmp_path / "empty").mkdir()
    result = call("fmt", "empty", *options)
    assert (result.code, result.out) == (2, "")
    assert "error[E0601]: no .cnn file in empty" in result.err


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_fmt_shows_and_mends_what_cannot_be_seen(call, tmp_path, mark):
    path = tmp_path / "small.cnn"
    canonical = path.read_bytes()
    path.write_bytes(mark + (canonical if mark else canonical.replace(b"\n", b"\r\n")))
    difference = call("fmt", "small.cnn", "--diff")
    assert difference.code == 1
    assert "only the ends of lines or a byte order mark" in difference.out
    assert call("fmt", "small.cnn", "--check").code == 1
    assert call("fmt", "small.cnn").code == 0
    assert path.read_bytes() == canonical


def test_a_text_in_utf16_is_told(call, tmp_path):
    path = tmp_path / "small.cnn"
    path.write_bytes(path.read_text().encode("utf-16"))
    result = call("inspect", "small.cnn")
    assert (result.code, result.out) == (2, "")
    assert "it is in UTF-16: save it in UTF-8" in result.err


def test_fmt_leaves_a_broken_file_and_goes_on(call, tmp_path):
    (tmp_path / "a.cnn").write_text("network {")
    canonical = (tmp_path / "small.cnn").read_text()
    (tmp_path / "small.cnn").write_text(canonical + "\n\n\n")
    result = call("fmt", ".")
    assert result.code == 1
    assert "a.cnn:1" in result.err
    assert (tmp_path / "a.cnn").read_text() == "network {"
    assert (tmp_path / "small.cnn").read_text() == canonical


@pytest.mark.parametrize("verb", ["check", "draw", "diff", "compare", "tune"])
@pytest.mark.parametrize("size", [1, 300_000])
def test_a_compiled_module_is_no_network(call, tmp_path, verb, size):
    (tmp_path / "net.cnnmod").write_bytes(b"\xff" * size)
    result = call(*verb.split(), "net.cnnmod", *(["small.cnn"] if verb == "diff" else []))
    assert result.code == 2
    said = "error[E0603]: net.cnnmod is a compiled module; this command takes a network\n"
    assert said in result.out + result.err


def test_defaults_in_help_are_written_as_they_are_given(call):
    assert "[default: reference,onnx,cpu]" in " ".join(call("compare", "--help").out.split())


def test_list_passes_names_nothing_of_the_code(call):
    meanings = [row["meaning"] for row in json.loads(call("list", "passes", "--json").out)]
    assert not [text for text in meanings if re.search(r"[A-Z]{2}|_", text)]


def test_list_ops_has_every_operator_with_its_defaults(call):
    listed = {row["name"]: row for row in json.loads(call("list", "ops", "--json").out)}
    assert set(listed) == set(BY_NAME)
    assert listed["bn"]["signature"] == "bn(eps=1e-05)"
    assert listed["relu"]["signature"] == "relu"
    assert listed["maxpool"]["signature"].startswith("maxpool(kernel, [stride], pad=valid")
    first = listed["conv"]["attributes"][0]
    assert (first["name"], first["required"], first["default"]) == ("filters", True, None)
    assert "maxpool(kernel" in call("list", "ops").out


def test_list_takes_a_name_or_a_part_of_one(call):
    found = [row["name"] for row in json.loads(call("list", "ops", "Conv", "--json").out)]
    assert found == ["conv", "conv_transpose", "local_conv", "tiled_conv"]
    result = call("list", "ops", "batch_norm")
    assert result.code == 2
    assert "did you mean 'bn'?" in result.err


def test_list_networks_passes_and_targets(call, monkeypatch, tmp_path):
    few = {name: api.zoo()[name] for name in ("densenet", "lenet5", "resnet50")}
    monkeypatch.setattr(api, "zoo", lambda: few)
    networks = {row["name"]: row for row in json.loads(call("list", "networks", "--json").out)}
    assert set(networks) == {"lenet5", "resnet50"}
    assert networks["resnet50"]["params"] == 25_557_032
    assert networks["resnet50"]["facts"] == "resnet50_v1.5"
    assert networks["resnet50"]["inputs"] == {"image": "3x224x224"}
    (row,) = networks["resnet50"]["errors"]
    assert (row["top1"], row["top5"]) == (23.87, 7.138)
    assert "torchvision" in row["source"]
    with monkeypatch.context() as later:
        later.setattr("cnndsl.language.elaborate.elaborate", None)
        assert {row["name"]: row for row in json.loads(call("list", "networks", "--json").out)} == (
            networks
        )
        (row,) = json.loads(call("list", "networks", "lenet", "--json").out)
        assert row == networks["lenet5"]
    (tmp_path / "more.cnn").write_text("network more { input x [1, 2, 2] }")
    few["more"] = tmp_path / "more.cnn"
    assert "more" in call("list", "networks").out
    del few["more"]
    shown = call("list", "networks").out
    assert "23.87, 7.138 (ImageNet; torchvision, IMAGENET1K_V1)" in shown
    passes = json.loads(call("list", "passes", "--json").out)
    assert "dead-code" in [row["name"] for row in passes]
    targets = {row["name"] for row in json.loads(call("list", "targets", "--json").out)}
    assert {"onnx", "reference"} <= targets


def test_explain(call, monkeypatch):
    from cnndsl.diagnostics.codes import Entry

    monkeypatch.setitem(CATALOGUE, "E0999", Entry("A title", "A text."))
    assert call("explain", "e0999").out == "E0999: A title\n\nA text.\n"
    assert "E0999  A title" in call("explain").out
    result = call("explain", "E0998")
    assert result.code == 2
    assert "E0999" in result.err


def test_explain_operators_and_passes(call):
    text = call("explain", "conv").out
    assert text.startswith("conv(filters, kernel, stride=1, pad=same, ")
    for part in ("Z[i,j,k] = b[i] + sum", "(LeCun et al. 1998, table I)", "Parameters: weight ["):
        assert part in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["filters"] == ["needed", *["a", "whole", "number", "from", "1"]]
    assert rows["groups"][0] == "1"
    assert rows["table"][:2] == ["for", "each"]
    assert "8x16x16 -> 16x8x8; parameters: weight 16x8x3x3, bias 16; MACs: 73,728." in text
    assert "Elsewhere: PyTorch Conv2d; Keras Conv2D; ONNX Conv" in text
    assert "add { a | b }" in call("explain", "add").out
    assert "without padding" in call("explain", "fuse-bn").out
    assert "did you mean 'bn'?" in call("explain", "batch_norm").err


def test_explain_knows_every_operator_and_pass(call):
    for what in ("ops", "passes"):
        for row in json.loads(call("list", what, "--json").out):
            result = call("explain", row["name"])
            assert result.code == 0
            assert row["meaning"] in result.out


def test_weights(call, tmp_path):
    listed = call("weights", "list", "small.cnn").out.splitlines()
    for target, suffix in (("reference", "cnnref"), ("cpu", "cnnmod")):
        call("compile", "small.cnn", "--seed", 0, "--target", target)
        assert call("weights", "list", f"small.{suffix}").out.splitlines() == listed
    call("compile", "small.cnn", "--seed", 0, "-O0")
    assert call("weights", "list", "small.onnx").out.splitlines() == listed
    assert listed[0].split() == ["stem.weight", "6x3x3x3"]
    assert len(listed) == 4
    from cnndsl.weights.files import save_safetensors
    from cnndsl.weights.initialise import initialise

    values = initialise(cnndsl.parse("small.cnn").graph.parameters(), 0)
    save_safetensors(tmp_path / "w.safetensors", values, {})
    fine = call("weights", "check", "small.cnn", "w.safetensors")
    assert (fine.code, fine.out) == (0, "")
    held = call("weights", "list", "w.safetensors").out.splitlines()
    assert [row.split() for row in held] == [[*row.split(), "float32"] for row in sorted(listed)]
    assert json.loads(call("weights", "list", "w.safetensors", "--json").out)[-1] == {
        "name": "stem.weight",
        "shape": [6, 3, 3, 3],
        "dtype": "float32",
    }
    del values["stem.bias"]
    save_safetensors(tmp_path / "w.safetensors", values, {})
    bad = call("weights", "check", "small.cnn", "w.safetensors")
    assert bad.code == 2
    assert "stem.bias" in bad.err


HEADS = """
network n(classes=2) {
    input x [3, 4, 4]
    conv(4, 3, bias=false) -> bn -> relu
    auxiliary early(weight=0.3) = global_avgpool -> fc(classes)
    global_avgpool -> fc(classes)
}
"""


def test_what_only_training_needs_is_not_unexpected(call, tmp_path):
    (tmp_path / "n.cnn").write_text(HEADS)
    parameters = cnndsl.parse(HEADS).graph.parameters()
    save_safetensors(tmp_path / "w.safetensors", initialise(parameters, 0))
    assert "early.fc1.weight" in parameters
    compiled = ("compile", "n.cnn", "--target", "reference", "--weights", "w.safetensors")
    calibrated = ("calibrate", "n.cnn", "--input", "x.npy", "--weights", "w.safetensors")
    np.save("x.npy", np.ones((2, 3, 4, 4), np.float32))
    for command in (compiled, calibrated, ("weights", "check", "n.cnn", "w.safetensors")):
        found = call(*command)
        assert (found.code, "W0204" in found.out + found.err) == (0, False)


def test_negative_variances_are_told(call, tmp_path):
    (tmp_path / "n.cnn").write_text(HEADS)
    values = initialise(cnndsl.parse(HEADS).graph.parameters(), 0)
    values["bn1.running_var"][2] = -0.5
    save_safetensors(tmp_path / "w.safetensors", values)
    found = call("weights", "check", "n.cnn", "w.safetensors")
    assert (found.code, "E0412" in found.err, "bn1.running_var" in found.err) == (2, True, True)


def test_weights_of_a_network_with_settings(call, tmp_path):
    options = ["--set", "classes=9", "--input-shape", "image=1x8x8"]
    listed = json.loads(call("weights", "list", "small.cnn", "--json", *options).out)
    assert listed[0] == {"name": "stem.weight", "shape": [6, 1, 3, 3], "learned": True}
    assert listed[2] == {"name": "fc1.weight", "shape": [9, 6], "learned": True}
    arrays = {row["name"]: np.ones(row["shape"], np.float32) for row in listed}
    save_safetensors(tmp_path / "nine.safetensors", arrays, {})
    assert call("weights", "check", "small.cnn", "nine.safetensors").code == 2
    assert call("weights", "check", "small.cnn", "nine.safetensors", *options).code == 0


def test_budgets_decide_the_exit_code(call):
    fits = call("inspect", "small.cnn", "--budget", "params=1M,weights=100MB")
    assert (fits.code, fits.err) == (0, "")
    over = call("inspect", "small.cnn", "--budget", "params=1,weights=100MB", "--json")
    assert over.code == 1
    assert [row["kept"] for row in json.loads(over.out)] == [False, True]
    assert call("inspect", "small.cnn", "--budget", "speed=1").code == 2


def test_pruned_weights_are_written_and_shown(call, tmp_path):
    network = cnndsl.parse(str(tmp_path / "small.cnn"))
    weights = initialise(network.graph.parameters(), 0)
    save_safetensors(tmp_path / "w.safetensors", weights)
    command = ("weights", "prune", "small.cnn", "w.safetensors")
    done = call(*command, "*=0.5", "-o", "p.safetensors", "--json")
    assert done.code == 0
    shown = call("inspect", "small.cnn", "--weights", "p.safetensors", "--json")
    assert json.loads(shown.out) == json.loads(done.out)
    assert json.loads(done.out)[-1]["nonzero"] < network.params
    for wrong in ("*=2", "*=half", "=0.5", "conv"):
        assert call(*command, wrong, "-o", "q.safetensors").code == 2
    assert not (tmp_path / "q.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--passes --memory", "--memory and --passes are views of their own"),
        ("--passes --explain fuse-bn", "--passes and --explain are"),
        ("--stage parsed --print-after epilogue", "--print-after and --stage are"),
        ("--stage parsed --svg a.svg", "--svg and --stage are"),
        ("--layers --training", "--training and --layers are"),
        ("--stage planned --passes", "--stage planned and --passes are"),
        ("--layers --depth 1", "--depth changes nothing in --layers: it is for the tree of blocks"),
        ("--batch 2", "--batch changes nothing in the tree of blocks: it is for --memory"),
        ("--passes --batch 2", "--batch changes nothing in --passes"),
        ("--disable epilogue", "--disable changes nothing in the tree of blocks: it is for --p"),
        ("--stage parsed -O0", "-O changes nothing in --stage"),
        ("--layers --target cpu", "--target changes nothing in --layers"),
        ("--budget params=1 --memory", "--memory and --budget are views of their own"),
        ("--layers --weights-map a", "--weights-map changes nothing in --layers"),
    ],
)
def test_inspect_shows_one_view_and_no_option_counts_for_nothing(call, options, said):
    result = call("inspect", "small.cnn", *options.split())
    assert (result.code, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize(
    "options",
    [
        "--memory --training --batch 2 -O1",
        "--stage planned --svg a.svg --batch 2",
        "--stage optimised --disable epilogue --target cpu",
        "--json --memory",
    ],
)
def test_options_that_go_together(call, options):
    assert call("inspect", "small.cnn", *options.split()).code == 0
