"""The benchmark that needs a GPU, on the emulated driver."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import cuda
from cnndsl.backends.cuda import compile as compiling
from cnndsl.backends.cuda import driver
from tests.cuda.emulator import Emulator


def test_checks_then_times_and_writes_both(
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(compiling, "make_code", emulator.code)
    monkeypatch.setattr(cuda, "FORMS", (("f16", 2),))
    monkeypatch.setattr(cuda, "RIVALS", [])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(emulator.folder))
    path = tmp_path / "figures.json"
    command = ["cuda", "lenet5", "--seconds", "1e-9", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as caught:
        cuda.main()
    assert caught.value.code == 0
    assert "1 of 1 are right" in capsys.readouterr().out
    figures = json.loads(path.read_text())
    assert [row["fine"] for row in figures["checks"]] == [True]
    assert [row["batch"] for row in figures["timings"]] == [2]
    assert all(row["seconds"] > 0 for row in figures["timings"])


def test_unknown_forms_are_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["cuda", "--forms", "f16x1,f8x1"])
    with pytest.raises(SystemExit):
        cuda.main()
    assert "no form f8x1; there are f32x1, f32x32, f16x1, f16x32" in capsys.readouterr().err


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(driver, "LIBRARY", "libnone.so.1")
    monkeypatch.setattr(sys, "argv", ["cuda"])
    with pytest.raises(SystemExit) as caught:
        cuda.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "no NVIDIA driver on this machine (libnone.so.1)\n"
