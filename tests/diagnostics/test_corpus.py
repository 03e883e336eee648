"""Wrong texts and wrong calls with what is said about them, and the catalogue of codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.diagnostics.codes import CATALOGUE
from cnndsl.diagnostics.render import text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BAD = HERE / "bad"
CALLS = HERE / "calls"
NAMES = sorted(path.stem for path in BAD.glob("*.cnn"))
CODE = re.compile(r"\b[EW]0\d{3}\b")

WRONG_CALLS: dict[str, Callable[[], Any]] = {
    "no_such_file": lambda: cnndsl.parse("smal.cnn"),
    "no_such_zoo_network": lambda: cnndsl.parse("resnet5"),
    "file_of_the_zoo": lambda: cnndsl.parse("resnet.cnn"),
    "file_of_the_zoo_with_network": lambda: cnndsl.parse("resnet.cnn:resnet18"),
    "no_such_network": lambda: cnndsl.parse("small.cnn:narow"),
    "no_network_at_all": lambda: cnndsl.parse("blocks.cnn"),
    "several_networks": lambda: cnndsl.parse("small.cnn"),
    "unknown_setting": lambda: cnndsl.parse("small.cnn:wide", settings={"clases": 3}),
    "wrong_setting": lambda: cnndsl.parse("small.cnn:wide", settings={"classes": "ten"}),
    "wrong_settings": lambda: cnndsl.parse(
        "settings.cnn:wide", settings={"base": "abc", "kernel": -1, "dept": 2}
    ),
    "wrong_setting_beside_a_needed_one": lambda: cnndsl.parse(
        "settings.cnn:deep", settings={"depth": 2, "base": "abc"}
    ),
    "wrong_setting_of_a_needed_one": lambda: cnndsl.parse(
        "settings.cnn:deep", settings={"depth": "abc", "base": 4}
    ),
    "wrong_operator_settings": lambda: cnndsl.parse(
        "settings.cnn:active", settings={"after": "rleu", "unit": "conv(kernle=3)"}
    ),
    "setting_that_is_no_operator": lambda: cnndsl.parse(
        "settings.cnn:active", settings={"after": "same"}
    ),
    "unknown_input": lambda: cnndsl.parse("small.cnn:wide", input_shapes={"img": (3, 4, 4)}),
    "wrong_input_shape": lambda: cnndsl.parse("small.cnn:wide", input_shapes={"image": (0, 4, 4)}),
    "input_shape_of_another_rank": lambda: cnndsl.parse(
        "small.cnn:wide", input_shapes={"image": (3, 32)}
    ),
    "text_too_long": lambda: cnndsl.parse("#" * 250_001 + "\n"),
}

Golden = Callable[[Path, str], None]


@pytest.mark.parametrize("name", NAMES)
def test_wrong_file(
    name: str,
    golden: Golden,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(BAD)
    assert main(["check", f"{name}.cnn"]) in (1, 2)
    captured = capsys.readouterr()
    golden(BAD / f"{name}.txt", captured.out or captured.err)


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_call(name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CALLS)
    with pytest.raises(cnndsl.CnnError) as caught:
        WRONG_CALLS[name]()
    golden(CALLS / f"{name}.txt", text(caught.value.diagnostics) + "\n")


def test_every_golden_belongs_to_a_test() -> None:
    assert sorted(path.stem for path in BAD.glob("*.txt")) == NAMES
    assert {path.stem for path in CALLS.glob("*.txt")} == set(WRONG_CALLS)


def test_every_code_of_the_language_has_an_example() -> None:
    shown = {code for path in HERE.rglob("*.txt") for code in CODE.findall(path.read_text("utf-8"))}
    expected = {c for c in CATALOGUE if c.startswith(("E01", "E02", "E03", "E05", "W02"))}
    # Of graphs, of weights and of edits.
    found_later = {"E0315", "W0204", "W0205", "W0206", "W0207", "W0208"}
    assert expected - found_later - shown == set()


def test_the_catalogue_holds_the_codes_that_are_used() -> None:
    sources = [p for folder in ("cnndsl", "backends") for p in (ROOT / folder).rglob("*.py")]
    used = {
        code
        for path in sources
        if path.parent.name != "codes"
        for code in re.findall(r'"([EW]0\d{3})"', path.read_text("utf-8"))
    }
    assert set(CATALOGUE) == used


@pytest.mark.parametrize("code", CATALOGUE)
def test_examples_of_the_catalogue(code: str) -> None:
    wrong, right = re.findall(r"```cnn\n(.*?)```", CATALOGUE[code].text, re.DOTALL) or ("", "")
    if code[:3] in ("E01", "E02", "E03", "E05", "W03"):
        assert wrong or code in ("E0215", "E0315", "E0505")
    if wrong:
        select = ["W02", code[:3]]
        assert code in {finding.code for finding in findings(wrong, select)}
        assert findings(right, select) == []


def findings(example: str, select: list[str]) -> list[cnndsl.Diagnostic]:
    try:
        return cnndsl.check(example, select=select)
    except cnndsl.CnnError as error:
        return list(error.diagnostics)
