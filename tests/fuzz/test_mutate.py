"""Whatever the text, checking and formatting it end with findings or without, and soon."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnndsl
from cnndsl.format.formatter import format_source
from tests.fuzz.mutate import complaint, run

SYMBOLS = [
    "network a ",
    "block b",
    "{",
    "}",
    "(",
    ")",
    "->",
    "|",
    "\n",
    "conv",
    "3",
    ",",
    "=",
    "let ",
    ":",
]


def test_mutated_networks() -> None:
    assert list(run(seed=20_000, count=200)) == []


@settings(max_examples=150)
@given(st.text(max_size=60) | st.lists(st.sampled_from(SYMBOLS), max_size=40).map("".join))
def test_arbitrary_text(text: str) -> None:
    assert complaint(text) is None
    try:
        formatted = format_source(text)
    except cnndsl.CnnError:
        return
    assert format_source(formatted) == formatted


NESTED = {
    "signs": ("conv(" + "-" * 5000 + "1, 3)", ["E0501"]),
    "sum": ("conv(1" + "+1" * 5000 + ", 3)", ["E0501"]),
    "else": ("if false { relu }" + " else if false { relu }" * 3000, ["E0501"]),
    "calls": ("conv" + "(3)" * 5000, ["E0501"]),
    "braces": ("{" * 5000 + "}" * 5000, ["E0501"]),
    "deep enough": ("if true {" * 60 + "relu" + "}" * 60 + " -> conv(1" + "+1" * 60 + ", 3)", []),
}
LARGE = {
    "empty loops": ("repeat 9000 { repeat 9000 { } }", ["E0503"]),
    "lists": ("conv(1, 1, weight=[[[1] * 9000] * 9000])", ["E0502"]),
    "doubled lists": ("let a = [1]\n" + "let a = [a, a]\n" * 40 + "scale(len(a))", None),
    "sums": ("repeat 9000 { if sum([1] * 9000) == 0 { relu } }", ["E0503"]),
    "groups": ("conv(2147483647, 1, groups=2147483646)", ["E0302"]),
    "constants": ("conv(2147483647, 1) -> scale(2)", ["E0309"]),
    "long chain": ("relu -> " * 5_000 + "relu", []),
}


@pytest.mark.parametrize("case", [*NESTED, *LARGE])
def test_absurd_sizes(case: str) -> None:
    body, codes = {**NESTED, **LARGE}[case]
    findings = cnndsl.check(f"network a {{\n input x [3, 8, 8]\n {body}\n}}\n")
    found = [finding.code for finding in findings]
    assert found == codes if codes is not None else "E0502" in found


@pytest.mark.parametrize("line", ["block\n", "block b { relu }\n", "network a { ) }\n", "import\n"])
def test_many_broken_items(line: str) -> None:
    assert cnndsl.check(line * 4_000 + "block c { ( }\n") != []
