from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import CnnError, Source
from cnndsl.format import formatter
from cnndsl.format.formatter import format_source
from cnndsl.format.layout import HARD, Align, Aside, Group, Hang, Indent, Line, render
from cnndsl.language import tree as ast
from cnndsl.language.parse.parser import parse_file
from tests.language.strategies import texts

FOLDER = Path(__file__).parent / "format"
CASES = sorted(path.stem for path in FOLDER.glob("*.in"))


def read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    assert format_source(read(f"{case}.in")) == read(f"{case}.out")


@pytest.mark.parametrize("case", CASES)
def test_canonical_text_stays(case: str) -> None:
    assert format_source(read(f"{case}.out")) == read(f"{case}.out")


@pytest.mark.parametrize("case", CASES)
def test_line_ends_tabs_and_the_final_line_break_do_not_matter(case: str) -> None:
    text = read(f"{case}.in").rstrip("\n").replace("    ", "\t").replace("\n", "\r\n")
    assert format_source(text) == read(f"{case}.out")


@settings(max_examples=120, phases=[Phase.generate])
@given(texts(), st.sampled_from([40, 100]))
def test_random_files(example: tuple[ast.File, str, list[str]], width: int) -> None:
    tree, text, comments = example
    with mock.patch.object(formatter, "WIDTH", width):
        formatted = format_source(text)
        assert format_source(formatted) == formatted
    assert parse_file(Source("", formatted)) == tree
    found = re.findall(r'"[^"\n]*"|(#[^\n]*)', formatted)
    assert sorted(filter(None, found)) == sorted(comments)
    lines = formatted.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert "\n\n\n" not in formatted
    assert "\t" not in re.sub(r"#[^\n]*", "", formatted)


@pytest.mark.parametrize("text", ["", "\n", " \t\n\n", "\r\n"])
def test_nothing_stays_nothing(text: str) -> None:
    assert format_source(text) == ""


@pytest.mark.parametrize("text", ["# a\n\n# b\n", "\n# a\n\n\n\n# b", "# a \r\n \r\n# b\r\n\r\n"])
def test_only_comments(text: str) -> None:
    assert format_source(text) == "# a\n\n# b\n"


@pytest.mark.parametrize(("length", "lines"), [(100, 3), (101, 4)])
def test_a_chain_breaks_where_its_line_would_be_too_long(length: int, lines: int) -> None:
    statement = "    conv(64, 3) -> bn -> ".ljust(length, "x")
    assert format_source(f"block b {{\n{statement}\n}}\n").count("\n") == lines


def test_all_syntax_errors_are_reported() -> None:
    with pytest.raises(CnnError) as caught:
        format_source("block a { conv(3 }\nblock b { -> }\n", "wrong.cnn")
    places = [str(diagnostic.span) for diagnostic in caught.value.diagnostics]
    assert places == ["wrong.cnn:1:18", "wrong.cnn:2:11"]


@pytest.mark.parametrize(
    "body", ["+".join("a" * 5000), "-" * 5000 + "a", "if a {} else " * 5000 + "{}"]
)
def test_endless_expressions_are_an_error(body: str) -> None:
    with pytest.raises(CnnError) as caught:
        format_source(f"block b {{ {body} }}")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["E0501"]


def test_a_group_breaks_all_its_lines_or_none() -> None:
    document = Group(("f(", Indent((Line(""), "a,", Line(), "b")), Line("", ","), ")"))
    assert render(document, 7) == "f(a, b)"
    assert render(document, 6) == "f(\n    a,\n    b,\n)"


def test_what_follows_a_group_counts_up_to_the_next_possible_break() -> None:
    call = Group(("f(", Line(""), "a", Line(""), ")"))
    assert render((call, ";"), 5) == "f(a);"
    assert render((call, ";"), 4) == "f(\na\n);"
    assert render((call, Group((Line(), "-> g"))), 4) == "f(a)\n-> g"


def test_asides_do_not_count() -> None:
    assert render((Group(("a", Line(), "b")), Aside("  # long"), HARD, "c"), 3) == (
        "a b  # long\nc"
    )


def test_align_and_hang() -> None:
    assert render(("add ", Align(("{ a", HARD, "| b"))), 80) == "add { a\n    | b"
    hung = Hang(("{", Indent((HARD, "a")), HARD, "}"))
    assert render(("x", Indent(HARD), "-> ", hung), 80) == "x\n    -> {\n        a\n    }"
