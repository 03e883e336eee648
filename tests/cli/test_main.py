import os
import subprocess
import sys

import pytest

import cnndsl
from cnndsl import api

HEAVY = {"onnx", "onnxruntime", "rich", "igraph", "PIL", "safetensors"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["check"],
        ["draw", "none.cnn"],
        ["draw", "no_such_network"],
        ["compile", "small.cnn", "--set", "classes"],
        ["compile", "small.cnn", "--input-shape", "image=3xHx3"],
        ["compile", "small.cnn", "--target", "abacus", "--seed", "0"],
        ["list", "everything"],
        ["inspect", "small.cnn", "--depth", "0"],
    ],
)
def test_wrong_calls_exit_with_2_and_say_why_on_stderr(call, arguments):
    result = call(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "rror" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("word", "hint"),
    [("chekc", "did you mean 'check' or"), ("--hepl", "--help"), ("nothing", "No such command")],
)
def test_a_misspelt_verb_gets_a_hint(call, word, hint):
    result = call(word, "small.cnn")
    assert (result.code, result.out) == (2, "")
    assert hint in result.err


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "cnndsl", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cnndsl, version {cnndsl.__version__}\n"


def test_findings_exit_with_1(call, tmp_path):
    (tmp_path / "bad.cnn").write_text("network bad {\n    input x [3, 8, 8]\n    conv(\n}\n")
    for arguments in (["inspect", "bad.cnn"], ["compile", "bad.cnn", "--seed", 0]):
        result = call(*arguments)
        assert (result.code, result.out) == (1, "")
        assert "bad.cnn:" in result.err
    shown = call("inspect", "bad.cnn", "--output-format", "github").err
    assert shown.startswith("::error file=bad.cnn,")


@pytest.mark.parametrize(
    ("value", "classes"), [("7", 7), ("2e1", None), ("seven", None), ("[1, 2]", None)]
)
def test_settings_are_typed(call, value, classes):
    result = call("inspect", "small.cnn", "--set", f"classes={value}", "--json")
    assert result.code == (0 if classes or value == "2e1" else 1)


def test_an_internal_error_is_one_line_and_exits_with_101(call, monkeypatch):
    def fail(spec):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(api, "check", fail)
    result = call("check", "small.cnn")
    assert (result.code, result.out) == (101, "")
    assert result.err.startswith("internal error: RuntimeError: two lines - please report")
    assert result.err.count("\n") == 1
    monkeypatch.setenv("CNNDSL_DEBUG", "1")
    assert "Traceback" in call("check", "small.cnn").err


def test_an_interrupt_is_quiet(call, monkeypatch):
    def interrupt(spec):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "check", interrupt)
    result = call("check", "small.cnn")
    assert (result.code, result.err.strip()) == (130, "")


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-c", "from cnndsl.cli.main import run; run()", "list", "ops"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "small.cnn"], ["fmt", "small.cnn"]])
def test_light_verbs_import_nothing_heavy(call, tmp_path, arguments):
    program = (
        "import sys; from cnndsl.cli.main import main; code = main(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.split())
