"""Progress bars: on terminals, and nowhere else."""

import os
import pty
import subprocess
import sys

import pytest

from tests.marks import whole

COMMAND = [sys.executable, "-c", "from cnndsl.cli.main import run; run()"]
LINES = {
    "compile": ("compile", "small.cnn", "--seed", "0", "--target", "cpu"),
    "run": ("run", "small.cnn", "--seed", "0", "--target", "cpu", "--input", "x.npy"),
    "compare": ("compare", "small.cnn", "--targets", "reference,cpu"),
}


@pytest.fixture
def files(call, tmp_path, monkeypatch):
    import numpy as np

    np.save("x.npy", np.zeros((1, 3, 8, 8), np.float32))
    monkeypatch.setenv("CNNDSL_CACHE", "off")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")


def on_a_terminal(arguments):
    """What a command writes to a terminal as its stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=theirs) as done:
        os.close(theirs)
        written = b""
        while chunk := read(ours):
            written += chunk
    os.close(ours)
    assert done.returncode == 0
    return written.decode()


def read(terminal):
    """Some bytes, or none once the other side is closed."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("verb", LINES)
def test_compiled_kernels_are_counted_on_a_terminal(files, verb):
    text = on_a_terminal(LINES[verb])
    assert "compiling" in text
    assert "/" in text.split("compiling")[1]


@pytest.mark.parametrize("verb", [whole("compile"), "run", whole("compare")])
def test_no_bar_is_written_into_a_file(files, verb):
    done = subprocess.run([*COMMAND, *LINES[verb]], capture_output=True, text=True, check=True)
    assert "compiling" not in done.stderr
    assert "\x1b" not in done.stderr
