"""What a shell completes."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from cnndsl.cli.main import commands

TEXT = """network small(classes=3, width=4) {
    input image [3, 8, 8]
    conv(width, 3) -> global_avgpool -> fc(classes)
}
network wide = small(width=8)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "small.cnn").write_text(TEXT)
    monkeypatch.chdir(tmp_path)


def completed(*words):
    *before, last = words
    shell = ShellComplete(commands, {}, "cnndsl", "_CNNDSL_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions(before, last)]


def values(*words):
    return [value for _, value in completed(*words)]


@pytest.mark.parametrize("verb", ["check", "run", "bench", "compare", "compile", "draw", "inspect"])
def test_networks(verb):
    assert {"resnet50", "resnet56_cifar"} <= set(values(verb, "resnet5"))
    assert all(name.startswith("resnet5") for name in values(verb, "resnet5"))
    assert values(verb, "sma") == ["small.cnn"]
    assert completed(verb, "folder/sma") == [("file", "folder/sma")]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["compile", "small.cnn", "--target", "c"], ["cpu", "cuda"]),
        (["compare", "small.cnn", "--targets", "onnx,re"], ["onnx,reference"]),
        (["compile", "small.cnn", "--disable", "dead"], ["dead-code"]),
        (["inspect", "small.cnn", "--explain", "dead"], ["dead-code"]),
        (["explain", "e010"], ["E0101", "E0102", "E0103"]),
        (["compile", "small.cnn", "--set", ""], ["classes=", "width="]),
        (["compile", "small.cnn:wide", "--set", "cl"], ["classes="]),
        (["compile", "resnet50", "--set", "cl"], ["classes="]),
        (["compile", "nothing.cnn", "--set", ""], []),
        (["compile", "small.cnn", "--input-shape", ""], ["image="]),
        (["list", "net"], ["networks"]),
        (["comp"], ["compile", "compare"]),
    ],
)
def test_names(words, found):
    assert values(*words) == found


@pytest.mark.parametrize(
    "words",
    [
        ["compile", "small.cnn", "--weights", "x"],
        ["compile", "small.cnn", "--output", "x"],
        ["run", "small.cnn", "--input", "x"],
        ["run", "small.cnn", "--image", "x"],
        ["weights", "check", "small.cnn", "x"],
        ["fmt", "x"],
    ],
)
def test_files(words):
    assert completed(*words) == [("file", "x")]
