"""Which files `check` and `fmt` take, and which findings are wanted."""

import json

import pytest

BIASED = "network a {\n    input x [3, 8, 8]\n    conv(9, 3) -> bn -> relu -> conv(16, 3)\n}\n"


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ("--lint", {"W0304", "W0305"}),
        ("--lint --select W0305", {"W0305"}),
        ("--select W0305", {"W0305"}),
        ("--lint --select W", {"W0304", "W0305"}),
        ("--lint --ignore W0305", {"W0304"}),
        ("--lint --select W0305 --ignore W0305", set()),
    ],
)
def test_select_names_the_lints_that_are_wanted(call, tmp_path, options, codes):
    (tmp_path / "a.cnn").write_text(BIASED)
    result = call("check", "a.cnn", *options.split(), "--output-format", "json")
    assert {finding["code"] for finding in json.loads(result.out)} == codes


def test_lints_that_select_leaves_out(call):
    result = call("check", "small.cnn", "--lint", "--select", "W02")
    assert result.code == 2
    assert "--lint asks for W03, which --select leaves out" in result.err


def test_a_folder_without_networks_does_not_hide_the_zoo(call, tmp_path):
    (tmp_path / "lenet5").mkdir()
    assert call("check", "lenet5").code == 0


def test_a_folder_without_networks_is_a_finding_like_others(call, tmp_path):
    (tmp_path / "empty").mkdir()
    result = call("check", "small.cnn", "empty", "--output-format", "json")
    (finding,) = json.loads(result.out)
    assert result.code == 2
    assert (finding["code"], finding["file"]) == ("E0601", "empty")
    assert "error[E0601]: no .cnn file in empty" in call("fmt", "small.cnn", "empty").err


@pytest.mark.parametrize("verb", ["check", "fmt"])
def test_an_empty_name_is_not_the_present_folder(call, tmp_path, verb):
    before = (tmp_path / "small.cnn").read_text() + "\n\n"
    (tmp_path / "small.cnn").write_text(before)
    result = call(verb, "")
    assert result.code == 2
    assert "error[E0601]" in result.out + result.err
    assert (tmp_path / "small.cnn").read_text() == before


def test_a_file_counts_once(call):
    assert call("check", "small.cnn", "small.cnn").err.startswith("1 network file:")


def test_a_file_that_is_missing_here_may_be_a_network_of_the_zoo(call):
    result = call("check", "resnet18.cnn")
    assert "hint: did you mean 'resnet18', of the zoo?" in result.out


def test_a_size_from_the_command_line_is_named(call):
    result = call("inspect", "small.cnn", "--input-shape", "image=3x0x8")
    assert "0, given for 'image', is no size of an input" in result.err
    assert "whole numbers from 1 to 2,147,483,647" in result.err


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ("--passes --disable fuse_bn", "fuse-bn"),
        ("--print-after epilouge", "epilogue"),
        ("--passes --target oonx", "onnx"),
    ],
)
def test_misspelt_passes_and_targets(call, options, meant):
    result = call("inspect", "small.cnn", *options.split())
    assert f"did you mean '{meant}'?" in result.err


def test_passes_are_disabled_by_lists(call):
    together = call("inspect", "small.cnn", "--stage", "optimised", "--disable", "epilogue,fuse-bn")
    options = ("--disable", "fuse-bn", "--disable", "epilogue")
    assert together.code == 0
    assert together.out == call("inspect", "small.cnn", "--stage", "optimised", *options).out
