"""The main job on real photos, against the probabilities that PyTorch gives."""

import pytest

import cnndsl
from demo import __main__ as demo
from demo.classifier import classify, compile_network, photo


@pytest.fixture(scope="module")
def module():
    return compile_network(cnndsl.parse("mobilenet_v2"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chelsea.png", {"Egyptian cat": 0.7139, "tiger cat": 0.1459, "tabby": 0.1322}),
        ("coffee.png", {"espresso": 0.9921, "consomme": 0.0043}),
    ],
)
def test_photos(module, name, expected):
    answers = classify(module, photo(name), top=len(expected))
    assert [label for label, _ in answers] == list(expected)
    assert dict(answers) == pytest.approx(expected, abs=0.001)


def test_what_the_demo_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    demo.main()
    printed = capsys.readouterr().out
    assert "3,504,872" in printed
    assert "0.714  Egyptian cat" in printed
    assert "0.992  espresso" in printed
    assert (tmp_path / demo.ARTEFACT).stat().st_size > 13e6
