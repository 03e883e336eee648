from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cnndsl.cli.main import main

SMALL = """\
network small(classes=4) {
    input image [3, 8, 8]
    stem: conv(6, 3)
    relu -> global_avgpool -> fc(classes) -> softmax
}
"""


@dataclass(frozen=True)
class Result:
    """What one call of the command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(tmp_path, monkeypatch, capsys) -> Callable[..., Result]:
    """Runs a command line in a folder that holds `small.cnn`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.cnn").write_text(SMALL)

    def run(*arguments: object) -> Result:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
