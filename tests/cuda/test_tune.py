"""Variants of kernels, timed on the emulated driver, where each block takes a millisecond."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import cnndsl
from cnndsl.backends.cuda import BACKEND, driver
from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.objects import Code
from cnndsl.backends.cuda.source import Source
from cnndsl.backends.cuda.toolchain import Resources
from cnndsl.backends.cuda.tuning import timing
from cnndsl.backends.cuda.tuning import tune as tuning
from cnndsl.cli.main import main
from cnndsl.passes.pipeline import optimise
from tests.cuda.emulator import Emulator

COMMAND = ["tune", "lenet5", "--target", "cuda", "--precision", "f16"]


@pytest.fixture(autouse=True)
def _emulated(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "make_code", emulator.code)
    monkeypatch.setattr(timing, "LAUNCHES", 2)
    monkeypatch.setattr(timing, "ROUNDS", 1)
    monkeypatch.setattr(timing, "COLD", 1 << 20)
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))


@pytest.mark.whole
def test_the_fastest_variant_is_taken_from_then_on(capsys: pytest.CaptureFixture[str]):
    graph = optimise(cnndsl.parse("lenet5").graph, fusions=BACKEND.fusions)[0]
    machine = find_machine("sm_90", "f16")
    assert main([*COMMAND, "--json"]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)}
    model = lower(graph, 1, machine)
    tuned = lower(graph, 1, machine, tuning.choices_of_gpus().variant_of)
    faster = set()
    for before, after in zip(model.steps, tuned.steps, strict=True):
        if before.node not in rows:
            continue
        row = rows[before.node]
        assert row["variants"] > 1
        assert row["default"] == before.kernel.variant
        assert row["fastest"] == after.kernel.variant
        for step, seconds in ((before, row["default_seconds"]), (after, row["fastest_seconds"])):
            x, y, z = step.kernel.launch.grid
            assert seconds == pytest.approx(x * y * z / 1e3)
        if row["fastest_seconds"] < row["default_seconds"]:
            faster.add(before.kernel.family)
    assert faster >= {"elementwise", "gemm", "pooling"}


def test_what_spills_registers_is_not_timed(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def spilling(sources: Mapping[str, Source], progress: object) -> tuple[dict[str, Code], int]:
        made, hits = emulator.code(sources)
        spilled = Resources(registers=255, spills=8, products=0)
        return {name: replace(code, resources=spilled) for name, code in made.items()}, hits

    monkeypatch.setattr(tuning, "make_code", spilling)
    timed: list[str] = []
    monkeypatch.setattr(
        timing.Timer, "seconds", lambda _, cubin, step: timed.append(step.kernel.variant) or 1.0
    )
    assert main([*COMMAND, "--tune", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["variants"] for row in rows} == {2}
    assert all(row["fastest"] == row["default"] for row in rows)
    assert timed == [row["default"] for row in rows]


def test_what_is_hardly_faster_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Each kernel is a little faster than the one before, and some much faster than the default."""
    times = itertools.count(1000, -4)
    monkeypatch.setattr(timing.Timer, "seconds", lambda *_: next(times) / 1e3)
    assert main([*COMMAND, "--tune", "9", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    gains = {1 - row["fastest_seconds"] / row["default_seconds"] for row in rows}
    assert min(gains) == 0
    assert max(gains) >= 0.03
    assert not any(0 < gain < 0.03 for gain in gains)


def test_what_is_known_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main([*COMMAND, "--tune", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    monkeypatch.delattr(timing.Timer, "seconds")
    assert main([*COMMAND, "--tune", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]):
    assert main([*COMMAND, "--tune", "2"]) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["node", "launches", "variants", "default"]
    assert total.startswith(f"{len(rows)} kernels, ")


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(driver, "LIBRARY", "libnone.so.1")
    assert main(COMMAND) == 2
    errors = capsys.readouterr().err
    assert "tuning needs a GPU: no NVIDIA driver on this machine" in errors
    assert "variants are compiled" in errors
    assert errors.count("error[") == 1


def test_other_targets_have_nothing_to_tune(capsys: pytest.CaptureFixture[str]):
    assert main(["tune", "lenet5", "--target", "onnx"]) == 2
    assert "has no variants" in capsys.readouterr().err
