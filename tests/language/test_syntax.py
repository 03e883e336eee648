"""Line breaks, precedence, and recovery from syntax errors."""

from __future__ import annotations

import pytest

from cnndsl.diagnostics import Source
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.parse.parser import parse_with_errors
from tests.language.support import chains, value


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("relu\nrelu", [1, 1]),
        ("relu -> relu", [2]),
        ("relu ->\nrelu", [2]),
        ("relu\n-> relu", [2]),
        ("relu\n\n# a comment\n-> relu # another", [2]),
        ("conv(\n4,\n3,\n)\nrelu", [1, 1]),
        ("conv(4, [\n3, 3])", [1]),
        ("add {\nrelu\n|\nrelu\n}\nrelu", [1, 1]),
        ("if true {\nrelu\n}\nelse {\nrelu\n}", [1]),
        ("if true { relu } else if false { relu }\nelse { relu }", [1]),
        ("repeat 2 { relu\nrelu }", [1]),
        ("relu\r\nrelu\r\n", [1, 1]),
        ("label:\nrelu", None),
    ],
)
def test_line_breaks(text: str, lengths: list[int] | None) -> None:
    if lengths is None:
        _, errors = parse_with_errors(Source("<test>", f"network a {{\n{text}\n}}"))
        assert [error.code for error in errors] == ["E0103"]
        return
    found = chains(text)
    assert all(isinstance(chain, ast.Chain) for chain in found)
    assert [len(chain.steps) for chain in found] == lengths  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("64 // 4 // 2", 8),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("-3 % 5", 2),
        ("7 // -2", -4),
        ("7 / 2", 3.5),
        ("1 if not 1 == 2 and false or true else 2", 1),
        ("1 if true or 1 / 0 > 1 else 2", 1),
        ("1 if 1 + 1 == 2 and 3 < 4 else 2", 1),
        ("1 if false else 2 if false else 3", 3),
        ("[1, 2, 3][-1] + [4] [0]", 7),
        ("len([1, 2] + [3] * 4)", 6),
        ("sum(range(5)) + max(2, 7) + min([3, 1])", 18),
        ("int(2.9) + round(2.4) + ceil(1.2) + floor(-0.5)", 5),
        ("sqrt(16) + abs(-3)", 7),
        ("zip([1, 2], [3, 4])[1][0] + enumerate([5, 6])[1][1]", 8),
        ("reversed([1, 2, 3])[0]", 3),
        (".5e1 + 1E-1 * 10", 6),
        ("log(exp(2)) + log(8, 2) + log(1000, 10)", 8),
        ("enumerate([5, 6], 3)[1][0]", 4),
        ("sum([make_divisible(w) for w in [1, 20, 36, 12.1, 18.5]])", 8 + 24 + 40 + 16 + 24),
        (
            "make_divisible(10, 8, 4) + make_divisible(2, 4, 1) + make_divisible(3, 4, 1)",
            16 + 4 + 4,
        ),
    ],
)
def test_expressions(expression: str, expected: float) -> None:
    assert value(expression) == expected


def test_every_syntax_error_is_found_and_the_rest_is_kept() -> None:
    text = """\
import from "x.cnn"
block good { relu }
block bad(width { relu }
network a {
    input x [3, 8, 8]
    conv(4,, 3)
    relu -> -> relu
    tanh
    conv(4, 3]
}
network b = good(
network c = good
"""
    tree, errors = parse_with_errors(Source("<test>", text))
    assert [error.span.line for error in errors if error.span] == [1, 3, 6, 7, 9, 11]
    kept = [item.name.text for item in tree.items if not isinstance(item, ast.Import)]  # type: ignore[union-attr]
    assert kept == ["good", "c"]


def test_the_number_of_syntax_errors_is_bounded() -> None:
    text = "network a {\n" + "relu )\n" * 1000 + "}\n"
    _, errors = parse_with_errors(Source("<test>", text))
    assert len(errors) == limits.SYNTAX_ERRORS


def test_spans_cover_what_was_written() -> None:
    text = "network a {\n    stem: conv(4,\n  3) -> relu # then\n}"
    (chain,) = chains(text[len("network a {\n") : -2])
    assert isinstance(chain, ast.Chain)
    span = chain.steps[0].element.span
    assert span.source.text[span.start : span.end] == "conv(4,\n  3)"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "\ufeff"[:0], "  \t \r\n"])
def test_an_empty_file_is_a_file(text: str) -> None:
    tree, errors = parse_with_errors(Source("<test>", text))
    assert (tree.items, errors) == ((), [])


def test_comments_are_kept_apart_from_strings() -> None:
    tree, errors = parse_with_errors(Source("<test>", 'import a from "b#c.cnn" # d "e"\n#f'))
    assert not errors
    found = [span.source.text[span.start : span.end] for span in tree.comments]
    assert found == ['# d "e"', "#f"]
