"""The main job on real photos, against the probabilities that PyTorch gives."""

import shutil

import numpy as np
import pytest

import cnndsl
from demo import __main__ as demo
from demo.classifier import classify, compile_network, photo

COLOURED = (
    "astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png",
    "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
"""Photos that scikit-image carries."""


@pytest.fixture(scope="module")
def modules():
    network = cnndsl.parse("mobilenet_v2")
    return {target: compile_network(network, target) for target in ("onnx", "cpu")}


@pytest.mark.parametrize("target", ["onnx", "cpu"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chelsea.png", {"Egyptian cat": 0.7139, "tiger cat": 0.1459, "tabby": 0.1322}),
        ("coffee.png", {"espresso": 0.9921, "consomme": 0.0043}),
    ],
)
def test_photos(modules, target, name, expected):
    answers = classify(modules[target], photo(name), top=len(expected))
    assert [label for label, _ in answers] == list(expected)
    assert dict(answers) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("jobs", [1, 2])
def test_labelled_photos(modules, tmp_path, jobs):
    for name in ("chelsea.png", "coffee.png"):
        shutil.copy(photo(name), tmp_path)
    labels = tmp_path / "labels.txt"
    labels.write_text("coffee.png 967\nchelsea.png 285\n")
    report = cnndsl.evaluate(modules["onnx"], tmp_path, labels=labels, jobs=jobs)
    assert (report.images, report.top1) == (2, 1)
    assert report.loss == pytest.approx(-np.mean(np.log([0.7139, 0.9921])), abs=1e-3)


def test_targets_agree_on_photos(modules):
    for name in COLOURED:
        onnx, cpu = (classify(module, photo(name), top=5) for module in modules.values())
        assert cpu[0][0] == onnx[0][0]
        assert dict(cpu) == pytest.approx(dict(onnx), abs=1e-5)


def test_what_the_demo_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    demo.main()
    printed = capsys.readouterr().out
    assert "3,504,872" in printed
    assert "0.714  Egyptian cat" in printed
    assert "0.992  espresso" in printed
    assert (tmp_path / demo.ARTEFACT).stat().st_size > 13e6
