"""docs/textbook.md: its commands and examples give what the page shows."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from cnndsl.cli.main import main

PAGE = Path(__file__).parents[1] / "docs" / "textbook.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = re.findall(r"^\$ cnndsl (.*)\n((?:(?!\$ |```).*\n)*)", TEXT, re.MULTILINE)
NETWORKS = "\n".join(re.findall(r"^```cnn\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[c for c, _ in COMMANDS])
def test_commands(command: str, shown: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("textbook.cnn").write_text(NETWORKS)
    code = main(shlex.split(command))
    captured = capsys.readouterr()
    lines = iter((captured.out + captured.err).splitlines())
    for expected in shown.splitlines():
        if expected != "...":  # a line of the page may be a part of one that is too long
            assert any(expected in line for line in lines), expected
    assert code == (1 if command.startswith(("check", "diff")) else 0)


def test_examples() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0
