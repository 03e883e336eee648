"""Timings, contests and layers. Nothing here asks how fast anything is."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics import CnnError
from cnndsl.measure import memory, runtimes
from cnndsl.measure.bench import ROUNDS, LayerTimes, Timing
from cnndsl.measure.contest import contest
from cnndsl.measure.layers import layer_reports
from cnndsl.measure.models import input_shapes, onnx_twin
from cnndsl.measure.runtimes import Job
from cnndsl.measure.worker import Worker
from cnndsl.runtime.layers import Layer, Layered, Peak
from cnndsl.runtime.module import Module

NET = """\
network net(classes=4) {
    input image [3, 16, 16]
    stem: conv(8, 3)
    bn -> relu -> add { conv(8, 3) -> bn | identity }
    relu -> global_avgpool -> fc(classes) -> softmax
}
"""
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def module() -> Module:
    return cnndsl.compile(NET, "cpu", seed=0, batch=2)


def timing(*rounds: tuple[float, ...]) -> Timing:
    return Timing(rounds, 0)


def test_percentiles_are_those_of_the_standard_library():
    samples = np.random.default_rng(0).exponential(size=101).tolist()
    found = timing(tuple(samples[:40]), tuple(samples[40:]))
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    assert found.percentile(50) == statistics.median(samples)
    assert found.percentile(90) == pytest.approx(cuts[89])
    assert found.percentile(99) == pytest.approx(cuts[98])
    assert found.throughput(3) == pytest.approx(3 / statistics.fmean(samples))


def test_a_ratio_is_the_median_over_the_rounds():
    ours = timing((1.0, 1.0, 9.0), (2.0,), (1.0,))
    theirs = timing((3.0, 3.0, 3.0), (4.0,), (50.0,))
    assert ours.ratio(theirs) == 3.0
    assert ours.ratio(ours) == 1.0


def test_the_peak_of_memory_is_noticed_and_can_be_forgotten():
    before = memory.resident()
    block = np.ones(8 * MEGABYTE)
    size = block.nbytes
    del block
    assert memory.peak() >= before + 0.9 * size
    memory.reset_peak()
    assert memory.peak() < before + 0.5 * size


def test_a_notebook_shows_the_blocks_of_a_loaded_module(module: Module, tmp_path: Path):
    module.save(tmp_path / "net.cnnmod")
    loaded = cnndsl.load(tmp_path / "net.cnnmod")
    assert loaded._repr_text_() == module._repr_text_()
    assert "<svg" in loaded._repr_html_()


def test_every_rival_runs_the_same_network(module: Module):
    rivals = [name for name in runtimes.RIVALS if importlib.util.find_spec(name)]
    found = contest(module, rivals, threads=1, seconds=0.1, layers=True)
    assert [c.name for c in found.contestants] == ["cpu", *rivals]
    assert (found.batch, found.threads) == (2, 1)
    assert all(len(c.timing.rounds) == ROUNDS for c in found.contestants)
    assert all(min(c.timing.seconds) > 0 for c in found.contestants)
    assert found.own.weight_bytes == module.weight_bytes
    assert isinstance(module, Layered)
    assert found.arena_bytes == module.arena_bytes
    assert [report.layer for report in found.layers] == list(module.layers)
    assert all(report.seconds > 0 for report in found.layers)


def test_the_steps_have_the_multiply_adds_of_the_network(module: Module, tmp_path: Path):
    assert isinstance(module, Layered)
    assert (
        sum(layer.macs for layer in module.layers) == 2 * graph_cost(cnndsl.parse(NET).graph).macs
    )
    module.save(tmp_path / "net.cnnmod")
    loaded = cnndsl.load(tmp_path / "net.cnnmod")
    assert isinstance(loaded, Layered)
    assert loaded.layers == module.layers
    first = module.layers[0]
    assert (first.shape, first.read, first.written) == ((2, 3, 16, 16), 6144, 6144)


def test_layers_of_one_sample_are_timed_on_more(tmp_path: Path):
    cnndsl.compile(NET, "cpu", seed=0).save(tmp_path / "net.cnnmod")
    loaded = cnndsl.load(tmp_path / "net.cnnmod")
    assert isinstance(loaded, Layered)
    times = loaded.time_layers({"image": np.zeros((3, 3, 16, 16), np.float32)})
    assert len(times) == len(loaded.layers)


@pytest.mark.parametrize(
    ("macs", "moved", "bound", "share"),
    [(500, 60, "compute", 0.1), (0, 400, "memory", 0.4), (500, 2000, "memory", 2.0)],
)
def test_the_roofline(macs: int, moved: int, bound: str, share: float):
    layer = Layer("x", "conv", "direct", (1,), macs, moved // 2, moved // 2)
    (report,) = layer_reports([layer], LayerTimes((1.0,), Peak(1e4, 1e3)))
    assert report.bound == bound
    assert report.share == pytest.approx(share)
    assert report.flops == 2 * macs


def test_an_artefact_holds_its_network(module: Module, tmp_path: Path):
    module.save(tmp_path / "net.cnnmod")
    twin = onnx_twin(cnndsl.load(tmp_path / "net.cnnmod"), 2)
    image = np.random.default_rng(1).standard_normal((2, 3, 16, 16), np.float32)
    expected = cnndsl.compile(NET, "reference", seed=0, dtype="float64")(image)
    np.testing.assert_allclose(twin(image), expected, rtol=1e-5)


def test_shapes_need_known_sizes_and_the_right_batch(module: Module):
    assert input_shapes(module, None) == {"image": (2, 3, 16, 16)}
    with pytest.raises(CnnError, match="batches of 2, not 3"):
        input_shapes(module, 3)
    free = cnndsl.compile("network n { input x [3, H, W]\n conv(2, 3) }", seed=0)
    with pytest.raises(CnnError, match="open size 3xHxW"):
        input_shapes(free, None)


def test_unknown_and_missing_rivals(module: Module, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CnnError, match="no runtime 'tensorrt'"):
        contest(module, ["tensorrt"])
    monkeypatch.setitem(runtimes.RIVALS, "new", runtimes.Rival("no_such_package", lambda *_: int))
    with pytest.raises(CnnError) as caught:
        contest(module, ["new"])
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.hint) == (
        "E0731",
        "install it: pip install no_such_package",
    )


def test_a_rival_starts_with_its_environment(monkeypatch: pytest.MonkeyPatch):
    """What the user has set stays."""
    monkeypatch.setenv("CNNDSL_TEST_GIVEN", "own")
    monkeypatch.setenv("CNNDSL_TEST_MISSING", "")
    monkeypatch.delenv("CNNDSL_TEST_MISSING")
    wanted = {"CNNDSL_TEST_GIVEN": "1", "CNNDSL_TEST_MISSING": "2"}
    rival = runtimes.Rival("json", runtimes.with_ncnn, wanted)
    monkeypatch.setitem(runtimes.RIVALS, "json", rival)
    runtimes.start("json")
    found = [os.environ[name] for name in wanted]
    assert found == ["own", "2"]


def test_a_script_needs_no_guard(tmp_path: Path):
    """Its processes do not run it again."""
    script = tmp_path / "script.py"
    lines = ("import cnndsl", "print('begun')", f'module = cnndsl.compile("""{NET}""", seed=0)')
    script.write_text("\n".join((*lines, "print(cnndsl.bench(module, seconds=0.01).network)")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("begun\nnet\n", "", 0)


def test_errors_come_back_from_the_process(tmp_path: Path):
    job = Job("onnx", tmp_path / "none.onnx", {"x": (1, 3)}, 1)
    with pytest.raises(CnnError) as caught:
        Worker(job)
    assert caught.value.diagnostics[0].code == "E0601"
    cnndsl.compile(NET, "onnx", seed=0).save(tmp_path / "net.onnx")
    job = Job("onnx", tmp_path / "net.onnx", {"image": (1, 3, 16, 16)}, 1)
    with Worker(job) as worker, pytest.raises(CnnError, match="single layers"):
        worker.ask("layers", 0.0)


def test_what_a_rival_refuses_is_an_error(tmp_path: Path):
    (tmp_path / "net.onnx").write_bytes(b"nonsense")
    with pytest.raises(CnnError, match="onnxruntime cannot run the network: ") as caught:
        Worker(Job("onnxruntime", tmp_path / "net.onnx", {"x": (1, 3)}, 1))
    assert caught.value.diagnostics[0].code == "E0732"


def test_a_process_that_dies_is_an_error(tmp_path: Path):
    cnndsl.compile(NET, "reference", seed=0).save(tmp_path / "net.cnnref")
    with Worker(Job("reference", tmp_path / "net.cnnref", {"image": (1, 3, 16, 16)}, 1)) as worker:
        assert worker.ask("run", 0.0)
        os.kill(worker.pid, 9)
        with pytest.raises(CnnError, match="ended with code -9"):
            worker.ask("run", 0.0)


def test_inputs_that_no_memory_holds_are_told_as_such(tmp_path, capfd):
    net = cnndsl.parse("network n { input x [3, 8, 8]\n relu }")
    cnndsl.compile(net, "reference").save(tmp_path / "net.cnnref")
    with pytest.raises(CnnError, match=r"E0711.*Unable to allocate"):
        Worker(Job("reference", tmp_path / "net.cnnref", {"x": (1 << 40, 3, 8, 8)}, 1))
    assert "Traceback" not in capfd.readouterr().err
