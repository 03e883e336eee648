"""Variants of kernels: all compute the same, and the one that was measured fastest is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.cpu import BACKEND, features
from cnndsl.backends.cpu.kernels import candidates
from cnndsl.backends.cpu.kernels.family import by_rank
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.cpu.program.lower import Step, lower
from cnndsl.backends.cpu.tuning import tune
from cnndsl.backends.native.tuning import Choices
from cnndsl.cli.main import main
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import inference_graph, optimise
from cnndsl.runtime.options import VARIANTS, silent
from tests.cpu.support import WINOGRAD, assert_agrees, compiled
from tests.cpu.test_convolutions import FORMS, graph_of
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

VARIED = (
    *("3x3", "1x1_in_parts", "groups_narrow", "depthwise", "winograd_residual"),
    *map(whole, ("1x1_flat", "3x3_in_parts", "groups_uneven")),
    *map(whole, ("winograd_2", "winograd_1x7", "winograd_groups")),
)
COPIES = 6
"""Of a layer in a graph, each computed by another variant."""
IMAGE = np.random.default_rng(0).normal(size=(2, 1, 32, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))


class FakeTimer:
    """Says that the last of the variants takes `fastest` seconds, all others one."""

    fastest = 0.5
    made = 0
    broken_at = 0
    reader = 0.0

    def __init__(self, steps: Sequence[Step], threads: int, weights: int):
        FakeTimer.made += 1
        if FakeTimer.made == FakeTimer.broken_at:
            raise KeyboardInterrupt
        self._last = len(steps) - 1

    def seconds(self, indices: Sequence[int], rounds: int) -> list[float]:
        return [self.fastest if index == self._last else 1.0 for index in indices]


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> type[FakeTimer]:
    for name, value in (("fastest", 0.5), ("made", 0), ("broken_at", 0)):
        monkeypatch.setattr(FakeTimer, name, value)
    monkeypatch.setattr(tune, "Timer", FakeTimer)
    return FakeTimer


@pytest.fixture(scope="module")
def lenet() -> Graph:
    graph = inference_graph(cnndsl.parse("lenet5").graph)
    return optimise(graph, fusions=BACKEND.fusions)[0]


class Rota:
    """Names another variant of a call each time, from the best to the worst."""

    def __init__(self) -> None:
        self.taken: dict[Call, list[str]] = {}

    def variant_of(self, call: Call) -> str:
        names = [candidate.name for candidate in candidates(call)]
        assert len(names) == len(set(names))
        taken = self.taken.setdefault(call, [])
        step = (len(names) // COPIES) | 1
        taken.append(names[(1 + len(taken) * step) % len(names)])
        return taken[-1]


@pytest.fixture
def rota(monkeypatch: pytest.MonkeyPatch) -> Rota:
    found = Rota()
    monkeypatch.setattr(Choices, "variant_of", lambda _, call: found.variant_of(call))
    return found


def assert_variants_agree(
    graph: Graph, shape: tuple[int, ...], batch: int, extension: str, rota: Rota
) -> set[str]:
    """Compile a graph with many variants; returns the families among them."""
    values = parameter_values(graph, 1)
    inputs = {"image": np.random.default_rng(2).normal(size=(batch, *shape))}
    rota.taken.clear()
    module = compiled(graph, values, batch=batch, extension=extension)
    assert_agrees(module, graph, values, inputs, WINOGRAD)
    names = {name for taken in rota.taken.values() for name in taken}
    assert len(names) > COPIES // 2
    return {name.split()[0] for name in names}


@pytest.mark.parametrize("label", VARIED)
def test_all_variants_compute_the_same(label: str, rota: Rota):
    form = next(form for form in FORMS if form.id == label)
    found = assert_variants_agree(graph_of(form, COPIES), form.shape, 1, "avx2", rota)
    assert found == ({"direct", "winograd"} if form.family == "winograd" else {form.family})


def test_variants_after_a_prologue(rota: Rota):
    graph, x = start(40, 9, 10)
    node = then(graph, "join", "add", x, then(graph, "skip", "conv", x, filters=40, kernel=1))
    graph.outputs = {"sum": node.name}
    for copy in range(COPIES):
        before = then(graph, f"relu{copy}", "relu", then(graph, f"bn{copy}", "bn", node))
        kernel = 1 + copy % 2 * 2
        after = then(graph, f"y{copy}", "conv", before, filters=72, kernel=kernel)
        graph.outputs[f"out{copy}"] = after.name
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    assert "bn0" not in graph
    assert_variants_agree(graph, (40, 9, 10), 2, "avx512", rota)


@pytest.mark.parametrize("batch", [1, 3])
def test_variants_of_fully_connected_layers(batch: int, rota: Rota):
    graph, x = start(20, 5, 6)
    graph.outputs = {
        f"out{copy}": then(graph, f"y{copy}", "fc", x, units=70).name for copy in range(COPIES)
    }
    assert_variants_agree(graph, (20, 5, 6), batch, "avx512", rota)


@pytest.mark.parametrize("allowed", [True, False])
def test_variants_of_winograd_are_as_wanted(allowed: bool):
    form = next(form for form in FORMS if form.id == "winograd_2")
    target = replace(find_machine(), winograd=allowed)
    calls = [step.call for step in lower(graph_of(form), 1, target).steps]
    names = [found.name for call in calls for found in candidates(call)]
    families = {name.split()[0] for name in names}
    assert families == ({"direct", "winograd"} if allowed else {"direct"})


def test_what_differs_in_one_respect_comes_first():
    found = list(by_rank(lambda: "ab", lambda _: "xyz"))
    assert found == [tuple(pair) for pair in ("ax", "ay", "bx", "az", "by", "bz")]


def test_the_fastest_is_taken_from_then_on(lenet: Graph, timer: type[FakeTimer]):
    values = parameter_values(lenet, 0)
    rows = BACKEND.tune(lenet, CpuOptions(threads=2, tune=3), silent)
    assert len(rows) == timer.made > 2
    for row in rows:
        assert (row.variants, row.default_seconds, row.fastest_seconds) == (3, 1.0, 0.5)
        assert row.default != row.fastest
    tuned = compiled(lenet, values, target=find_machine())
    assert tuned.build is not None
    assert tuned.build.measured == len(rows)
    assert str(tuned.build).endswith(f", {len(rows)} chosen by measurement")
    assert_agrees(tuned, lenet, values, {"image": IMAGE})
    alone = compiled(lenet, values, target=find_machine(), threads=1)
    assert alone.build is not None
    assert alone.build.measured == 0


def test_what_is_known_is_not_measured_again(lenet: Graph, timer: type[FakeTimer]):
    rows = BACKEND.tune(lenet, CpuOptions(tune=3), silent)
    assert BACKEND.tune(lenet, CpuOptions(tune=2), silent) == rows
    assert timer.made == len(rows)
    again = BACKEND.tune(lenet, CpuOptions(tune=5), silent)
    offered = {
        step.node: sum(1 for _ in islice(candidates(step.call), 5))
        for step in lower(lenet, 1, find_machine("native")).steps
    }
    assert [row.variants for row in again] == [offered[row.node] for row in again]
    assert max(offered.values()) == 5
    assert timer.made == len(rows) + sum(offered[row.node] > 3 for row in again)


def test_an_interrupt_loses_nothing(
    lenet: Graph, timer: type[FakeTimer], capsys: pytest.CaptureFixture[str]
):
    timer.broken_at = 3
    command = ["tune", "lenet5", "--target", "cpu", "--tune", "3", "--json"]
    assert main(command) == 130
    capsys.readouterr()
    timer.broken_at = 0
    assert main(command) == 0
    rows = json.loads(capsys.readouterr().out)
    assert timer.made == 1 + len(rows)


def test_the_defaults_of_the_command(timer: type[FakeTimer], capsys: pytest.CaptureFixture[str]):
    assert main(["tune", "lenet5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert max(row["variants"] for row in rows) == VARIANTS
    assert main(["tune", "--help"]) == 0
    assert f"[default: {VARIANTS}; x>=2]" in capsys.readouterr().out


@pytest.mark.parametrize("count", ["0", "1"])
def test_less_than_two_variants_are_no_choice(count: str, capsys: pytest.CaptureFixture[str]):
    assert main(["tune", "lenet5", "--tune", count]) == 2
    assert "--tune" in capsys.readouterr().err


def test_a_little_faster_is_not_enough(lenet: Graph, timer: type[FakeTimer]):
    timer.fastest = 0.98
    rows = BACKEND.tune(lenet, CpuOptions(tune=3), silent)
    assert [(row.fastest, row.fastest_seconds) for row in rows] == [
        (row.default, 1.0) for row in rows
    ]


def test_the_choice_does_not_need_the_cache(
    lenet: Graph, timer: type[FakeTimer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CNNDSL_CACHE", "off")
    values = parameter_values(lenet, 0)
    module = BACKEND.compile(lenet, values, CpuOptions(tune=3))
    assert module.build is not None  # type: ignore[attr-defined]
    assert module.build.measured == timer.made  # type: ignore[attr-defined]


def test_real_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "net.cnnmod"
    command = ["lenet5", "--target", "cpu", "--tune", "2"]
    assert main(["compile", *command, "--seed", "0", "-o", str(path)]) == 0
    assert main(["tune", *command, "--threads", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert all(row["default_seconds"] >= row["fastest_seconds"] > 0 for row in rows)
    values = parameter_values(cnndsl.load(path).graph, 0)  # type: ignore[attr-defined]
    module = cnndsl.load(path)
    module.set_weights(values)  # type: ignore[attr-defined]
    assert_agrees(module, module.graph, values, {"image": IMAGE})  # type: ignore


def test_times_of_winograd_and_of_kernels_in_place():
    graph, x = start(32, 12, 12)
    node = then(graph, "a", "conv", x, filters=32, kernel=3)
    other = then(graph, "tanh", "tanh", then(graph, "b", "conv", node, filters=32, kernel=1))
    node = then(graph, "sum", "add", other, node)
    graph.outputs = {"out": then(graph, "relu", "relu", node).name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    rows = BACKEND.tune(graph, CpuOptions(tune=2), silent)
    assert {row.default.split()[0] for row in rows} == {"direct", "winograd"}
    assert all(row.fastest_seconds > 0 for row in rows)


def test_code_for_another_cpu_is_not_timed(
    lenet: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(features, "host_features", lambda: frozenset({"avx"}))
    with pytest.raises(CnnError, match="cannot be timed on this CPU"):
        BACKEND.tune(lenet, CpuOptions(), silent)
    arguments = ["compile", "lenet5", "--seed", "0", "--target", "cpu", "--tune", "2"]
    assert main([*arguments, "--mcpu", "x86-64-v3"]) == 2
    errors = capsys.readouterr().err
    assert "error[E0724]: code for x86-64-v3 cannot be timed on this CPU, which lacks" in errors
    assert "leave --tune out" in errors


@pytest.mark.parametrize("number", ["-1", "x", "1.5"])
def test_a_wrong_number(number: str, capsys: pytest.CaptureFixture[str]):
    assert main(["compile", "lenet5", "--target", "cpu", "--tune", number]) == 2
    assert "--tune" in capsys.readouterr().err
