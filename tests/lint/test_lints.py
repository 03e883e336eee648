"""Lints find what they teach, where it is written, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.diagnostics.codes import CATALOGUE
from cnndsl.language.sources import zoo_folder
from cnndsl.lint.lints import LINTS


def network(*lines: str, shape: str = "[3, 32, 32]") -> str:
    return "\n".join(["network net {", f"    input image {shape}", *lines, "}\n"])


def found(text: str, *select: str) -> list[tuple[str, str]]:
    """Codes and the places as they are written."""
    findings = cnndsl.check(text, select=select or ("W03",))
    places = [(item.code, item.span) for item in findings]
    return [(code, span.source.text[span.start : span.end]) for code, span in places if span]


def test_every_lint_is_explained_with_its_source() -> None:
    assert set(LINTS) == {code for code in CATALOGUE if code.startswith("W03")}
    assert all("Source:" in CATALOGUE[code].text for code in LINTS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("maxpool(2) -> maxpool(2)", []),  # 3072 -> 768 -> 192: four times fewer each
        ("maxpool(3)", ["maxpool(3)"]),  # 3 x 10 x 10
        ("conv(64, 3) -> maxpool(4)", []),  # 4096 numbers are more than before
        ("conv(64, 1, stride=8)", []),  # 1024 are a third
        ("conv(8, 1, stride=8)", ["conv(8, 1, stride=8)"]),  # 128
        ("concat { maxpool(8) | conv(16, 8, stride=8, pad=valid) }", []),  # 304 = 3072 / 10.1
    ],
)
def test_bottlenecks(line: str, expected: list[str]) -> None:
    if "concat" in line:
        expected = ["concat"]
    assert [place for _, place in found(network(line, "conv(64, 1)"), "W0301")] == expected
    assert found(network(line), "W0301") == []  # an output has the size that it needs


def test_vectors_have_no_size() -> None:
    assert found(network("conv(64, 3) -> global_avgpool -> fc(8) -> fc(8)"), "W0301") == []


def test_a_way_round_is_no_bottleneck() -> None:
    """What goes round the narrow part is not lost."""
    narrow = "conv(8, 1) -> maxpool(8) -> upsample(8) -> conv(64, 1)"
    text = network("conv(64, 3)", f"add {{ {narrow} | identity }}")
    assert found(text, "W0301") == []
    assert found(network("conv(64, 3)", narrow), "W0301") == [("W0301", "maxpool(8)")]


@pytest.mark.parametrize(
    ("shape", "kernel", "expected"),
    [
        ("[8, 21, 21]", "[1, 7]", True),
        ("[8, 21, 21]", "[7, 1]", True),
        ("[8, 20, 20]", "[1, 7]", False),
        ("[8, 20, 21]", "[1, 3]", True),
        ("[8, 64, 64]", "[3, 5]", False),
        ("[8, 64, 64]", "[1, 1]", False),
        ("[8, 1, 64]", "[1, 7]", False),  # a signal has no other axis
        ("[8, 64]", "[7]", False),
    ],
)
def test_asymmetric_kernels(shape: str, kernel: str, expected: bool) -> None:
    text = network(f"conv(8, {kernel})", shape=shape)
    assert found(text, "W0302") == [("W0302", f"conv(8, {kernel})")] * expected


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("add { conv(16, 3) -> relu | identity }", True),
        ("add { identity | conv(16, 3) -> relu -> dropout(0.1) }", True),
        ("add { conv(16, 3) -> relu | conv(16, 1) }", True),
        ("add { conv(16, 3) -> relu | conv(16, 3) -> conv(16, 3) }", False),  # no shortcut
        ("add { conv(16, 3) -> bn | identity }", False),
        ("add { conv(16, 3) -> tanh | identity }", False),
        ("relu -> add { conv(16, 3) | identity }", False),  # the shortcut may be
        ("add { relu -> conv(16, 3) | identity } -> relu", False),
        ("mul { conv(16, 3) -> sigmoid | identity }", False),
    ],
)
def test_rectified_residuals(join: str, expected: bool) -> None:
    assert found(network("conv(16, 3)", join), "W0303") == [("W0303", "add")] * expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conv(12, 3) -> conv(16, 1)", ["conv(12, 3)"]),
        ("conv(32, 3) -> conv(10, 1)", []),  # makes the output
        ("fc(84) -> relu -> fc(10)", []),  # 4 of 88 are few
        ("fc(42) -> relu -> fc(10)", ["fc(42)"]),
        ("conv(12, 3) -> depthwise(3) -> conv(16, 1)", ["conv(12, 3)"]),
    ],
)
def test_wasted_lanes(line: str, expected: list[str]) -> None:
    assert [place for _, place in found(network(line), "W0304")] == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conv(8, 3) -> bn", ["conv(8, 3)"]),
        ("fc(8) -> bn", ["fc(8)"]),
        ("conv(8, 3) -> relu -> bn", []),
        ("conv(8, 3, bias=false) -> bn", []),
        ("conv(8, 3) -> add { bn | identity }", []),  # read elsewhere, too
        ("conv(8, 3) -> group_norm(2)", []),  # subtracts means of several channels
    ],
)
def test_biases_before_norms(line: str, expected: list[str]) -> None:
    assert [place for _, place in found(network(line), "W0305")] == expected


def test_a_place_is_told_once_in_the_file_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "unit.cnn").write_text("block unit(width) { conv(width, 3) -> bn }\n")
    text = network("repeat 3 { unit(8) }", "unit(16)")
    (tmp_path / "net.cnn").write_text('import unit from "unit.cnn"\n' + text)
    first, second = cnndsl.check(tmp_path / "net.cnn", select=["W0305"])
    assert [item.span.line for item in (first, second) if item.span] == [4, 5]
    assert [note.text for note in first.notes] == ["so it is in unit2.conv1, unit3.conv1"]
    assert [note.text for note in first.trail] == ["in network net"]
    assert second.notes == ()


def test_the_longest_beginning_of_a_code_counts() -> None:
    text = network("conv(12, 3) -> bn", "conv(8, 1)")
    codes = {"W0304", "W0305"}
    assert {item.code for item in cnndsl.check(text, select=["W03"])} == codes
    assert {item.code for item in cnndsl.check(text, select=["W"], ignore=["W0304"])} == {"W0305"}
    assert {item.code for item in cnndsl.check(text, select=["W0304"], ignore=["W03"])} == {"W0304"}
    assert cnndsl.check(text) == []


def test_comments_ignore_lines_and_what_is_below_them() -> None:
    bad = "conv(12, 3) -> conv(12, 3)"
    beside = network(f"{bad}  # cnndsl: ignore[W0304] as published", bad, "conv(8, 1)")
    assert len(found(beside, "W0304")) == 2
    braces = network("x: {", "# cnndsl: ignore[W03]", bad, "}", bad, "conv(8, 1)")
    assert len(found(braces, "W0304")) == 2
    assert found("# cnndsl: ignore[W0305, W0304]\n" + beside, "W0304") == []
    assert len(found("# cnndsl: ignore[W0305]\n" + beside, "W0304")) == 2
    assert len(found("# cnndsl: ignore[]\n" + beside, "W0304")) == 2


def test_comments_ignore_other_warnings_but_no_errors() -> None:
    unused = network("let x = conv(8, 3)  # cnndsl: ignore[W0201, W0202]", "conv(8, 1)")
    assert cnndsl.check(unused) == []
    assert cnndsl.parse(unused).warnings == ()
    wrong = network("covn(8, 3)  # cnndsl: ignore[E0201]")
    assert [item.code for item in cnndsl.check(wrong)] == ["E0201"]


def test_models_without_a_text_have_lints(tmp_path: Path) -> None:
    net = cnndsl.parse(network("conv(12, 3) -> relu -> conv(8, 3)"))
    cnndsl.compile(net, weights=None, seed=0).save(tmp_path / "net.onnx")
    (item,) = cnndsl.check(tmp_path / "net.onnx", select=["W0304"])
    assert item.span is None
    assert "12 channels" in item.message


def test_the_command_selects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.cnn"
    path.write_text(network("conv(12, 3) -> bn", "conv(8, 1)"))
    assert main(["check", str(path)]) == 0
    assert main(["check", str(path), "--lint"]) == 1
    assert "0 errors, 2 warnings" in capsys.readouterr().err
    assert main(["check", str(path), "--lint", "--ignore", "W0304,W0305"]) == 0
    assert main(["check", str(path), "--select", "w0305"]) == 1
    assert "warning[W0305]" in capsys.readouterr().out
    assert main(["check", str(path), "--select", "X1"]) == 2
    assert "no warning has a code that begins with 'X1'" in capsys.readouterr().err


def test_the_unit_of_figure_4c_is_found(tmp_path: Path) -> None:
    """He et al. (2016) show that it is worse; the other units of the figure are not told of."""
    text = (zoo_folder() / "resnet_variants.cnn").read_text("utf-8").replace("# cnndsl:", "#")
    path = tmp_path / "units.cnn"
    path.write_text(text, "utf-8")
    units = ("relu_before_addition", "relu_preactivation", "bn_after_addition")
    for unit in units:
        name = re.search(rf"network (\w+) = \w+\(\s*{unit}\b", text)
        assert name is not None
        codes = {item.code for item in cnndsl.check(f"{path}:{name[1]}", select=["W0303"])}
        assert codes == ({"W0303"} if unit == units[0] else set())
