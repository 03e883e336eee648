import io
import os
import shlex
import subprocess
import sys

import pytest

import cnndsl
from cnndsl import api

COMMAND = [sys.executable, "-m", "cnndsl"]
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
    [("chekc", "did you mean 'check'?"), ("--hepl", "--help"), ("nothing", "No such command")],
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
    def fail(spec, **selection):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(api, "check", fail)
    result = call("check", "small.cnn")
    assert (result.code, result.out) == (101, "")
    assert result.err.startswith("internal error: RuntimeError: two lines - please report")
    assert result.err.count("\n") == 1
    monkeypatch.setenv("CNNDSL_DEBUG", "1")
    assert "Traceback" in call("check", "small.cnn").err


def test_an_interrupt_is_quiet(call, monkeypatch):
    def interrupt(spec, **selection):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "check", interrupt)
    result = call("check", "small.cnn")
    assert (result.code, result.err.strip()) == (130, "")


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "list", "ops"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_what_is_written_to_them_alone(call, tmp_path, closed):
    line = f"{shlex.join([*COMMAND, 'compile', 'small.cnn', '--seed', '0'])} {closed}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    assert (b"small.onnx" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))
    assert (b"parse" in done.stderr) == ("2>&-" not in closed)
    assert call("inspect", "small.onnx").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "small.cnn"], 2),
        (["--help"], 2),
        (["compile", "small.cnn", "--seed", "0"], 2),
        (["compile", "small.cnn", "-o", "/dev/full", "--target", "reference", "--seed", "0"], 2),
    ],
)
def test_a_full_device_is_no_internal_error(call, tmp_path, arguments, code):
    for stream in ("stdout", "stderr"):
        with open("/dev/full", "wb") as full:
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
            done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, check=False, **streams)
        said = (done.stdout or b"") + (done.stderr or b"")
        assert b"internal" not in said
        assert b"Traceback" not in said
        if stream == "stdout":
            assert done.returncode == code
            assert b"No space left on device" in said
        assert done.returncode in (0, code)


def test_an_error_that_cannot_be_written_keeps_its_code():
    full = subprocess.run(f"{shlex.join(COMMAND)} nothing 2>/dev/full", shell=True, check=False)
    assert full.returncode == 2


def test_a_working_folder_that_is_gone_is_told(call, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = call("compile", tmp_path / "small.cnn", "--seed", 0)
    assert result.code == 2
    assert "error[E0616]: the working folder is gone" in result.err


def test_an_interrupt_while_the_command_is_imported_is_quiet():
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from cnndsl.__main__ import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_network_can_come_from_stdin(call, tmp_path, monkeypatch):
    def given(text, *arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        return call(*arguments)

    text = (tmp_path / "small.cnn").read_bytes()
    assert given(text, "check", "-").code == 0
    assert given(text, "inspect", "-").out.startswith("small ")
    assert given(text[:-3], "check", "-").code == 1
    assert given(b"\xff", "check", "-").code == 2
    assert given(text, "fmt", "-").out == text.decode()
    assert given(text.replace(b"    ", b"  "), "fmt", "-").out == text.decode()
    assert given(text.replace(b"    ", b"  "), "fmt", "-", "--check").code == 1


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
