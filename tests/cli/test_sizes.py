"""Networks that are too large, for a file or for memory."""

import pytest

import cnndsl
from cnndsl import api
from cnndsl.weights import initialise as module
from cnndsl.weights.bind import bind

HUGE = "network huge { input x [3, 8, 8]\n fc(2000000000) }\n"
WIDE = "network wide {\n input x [3, 8, 8]\n repeat 8 { conv(20000, 3) } }\n"
LARGE = "network large { input x [3, 8, 8]\n fc(3000000) }\n"


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        (HUGE, "cpu", "E0416]: the weights need 1,438.0 GiB"),
        (WIDE, "reference", "E0416]: the weights need 93.9 GiB"),
        (HUGE, "onnx", "E0701]: the weights take 1,438.0 GiB"),
    ],
)
def test_a_network_that_does_not_fit(call, tmp_path, monkeypatch, text, target, words):
    monkeypatch.setattr(module, "_memory", lambda: 2**34)
    (tmp_path / "big.cnn").write_text(text)
    result = call("compile", "big.cnn", "--seed", 0, "--target", target)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


def test_a_file_is_too_small_before_there_are_weights(monkeypatch):
    monkeypatch.setattr("cnndsl.weights.bind.bind", lambda *_, **__: pytest.fail("weights"))
    with pytest.raises(cnndsl.CnnError, match="E0701"):
        cnndsl.compile(LARGE, "onnx", seed=0)


def test_memory_that_runs_out_while_weights_are_made(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(module, "INITIALISERS", dict.fromkeys(module.INITIALISERS, fail))
    parameters = cnndsl.parse(LARGE).graph.parameters()
    with pytest.raises(cnndsl.CnnError, match=r"E0416.* 2\.2 GiB"):
        bind(parameters, None, seed=0)


def test_memory_that_runs_out_later_is_no_internal_error(call, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 93. GiB")

    monkeypatch.setattr(api, "compile", fail)
    result = call("compile", "small.cnn", "--seed", 0)
    assert result.code == 2
    assert "error[E0711]: Unable to allocate 93. GiB" in result.err
