import json

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError, Diagnostic, Note, Source, Span
from cnndsl.diagnostics.render import render, text
from cnndsl.weights.files import save_safetensors

SOURCE = Source(
    "nets/a.cnn",
    "block b(width) {\n"
    "    conv(width, 3) -> relu\n"
    "}\n"
    "network a {\n"
    "\tadd { conv(8, 3) |\n"
    "\t      conv(16, 3) |\n"
    "\t      conv(4, 3) |\n"
    "\t      conv(2, 3) }\n"
    '    let ü = "日本" -> x\n'
    "}\n",
)


def span(part: str, source: Source = SOURCE) -> Span:
    start = source.text.index(part)
    return Span(source, start, start + len(part))


def test_one_line_with_everything():
    found = Diagnostic(
        "E0301",
        "add needs operands of one shape",
        span("relu"),
        "give both branches as many channels",
        (Note("3x8x8 from image"), Note("16x8x8 from conv2", span("conv(16, 3)"))),
        (Note("in network a", span("network a")), Note("block b", span("conv(width, 3)"))),
    )
    assert text([found]) == (
        "error[E0301]: add needs operands of one shape\n"
        " --> nets/a.cnn:2:23\n"
        "  |\n"
        "2 |     conv(width, 3) -> relu\n"
        "  |                       ^^^^\n"
        "  = note: 3x8x8 from image\n"
        "note: 16x8x8 from conv2\n"
        " --> nets/a.cnn:6:8\n"
        "  |\n"
        "6 |           conv(16, 3) |\n"
        "  |           ^^^^^^^^^^^\n"
        "  = in network a, line 4 -> block b, line 2\n"
        "  = hint: give both branches as many channels"
    )


def test_spans_over_several_lines_show_the_first_and_the_last():
    start, end = SOURCE.text.index("add"), SOURCE.text.index("2, 3) }") + 7
    assert text([Diagnostic("W0201", "unused", Span(SOURCE, start, end))]) == (
        "warning[W0201]: unused\n"
        " --> nets/a.cnn:5:2\n"
        "  |\n"
        "5 |     add { conv(8, 3) |\n"
        "  |     ^^^^^^^^^^^^^^^^^^\n"
        "...\n"
        "8 |           conv(2, 3) }\n"
        "  |           ^^^^^^^^^^^^"
    )
    assert text([Diagnostic("W0201", "unused", Span(SOURCE, start, start + 25))]).splitlines()[
        3:
    ] == [
        "5 |     add { conv(8, 3) |",
        "  |     ^^^^^^^^^^^^^^^^^^",
        "6 |           conv(16, 3) |",
        "  |           ^",
    ]


def test_wide_characters_push_the_carets():
    at = SOURCE.text.index("x\n}")
    lines = text([Diagnostic("E0201", "no x", Span(SOURCE, at, at + 1))]).splitlines()
    assert lines[3:5] == ['9 |     let ü = "日本" -> x', "  |                       ^"]


def test_empty_spans_and_ends_of_texts_get_one_caret():
    end = len(SOURCE.text)
    assert text([Diagnostic("E0101", "unexpected end", Span(SOURCE, end, end))]).splitlines()[
        1:
    ] == [
        "  --> nets/a.cnn:11:1",
        "   |",
        "11 |",
        "   | ^",
    ]
    empty = Source("empty.cnn", "")
    assert text([Diagnostic("E0101", "empty", Span(empty, 0, 0))]).endswith("1 |\n  | ^")


def test_control_characters_and_long_lines_are_tamed():
    long = Source("long.cnn", "a" * 5000 + "\x1b[31mBAD" + "b" * 5000)
    shown = text([Diagnostic("E0101", "bad", span("BAD", long))])
    assert "\x1b" not in shown
    line, carets = shown.splitlines()[3:5]
    assert len(line) < 250
    assert line[carets.index("^") :].startswith("BAD")
    assert carets.count("^") == 3


def test_control_codes_of_names_are_not_obeyed():
    source = Source("a\x1b[2J.cnn", "conv")
    place = Span(source, 0, 4)
    note = Note("see \x1b[1m", place)
    hint, trail = "or \x9b1m", (Note("in \x07"),)
    item = Diagnostic("E0601", "no \x1b]0;x\x07", place, hint, notes=(note,), trail=trail)
    shown = text([item])
    assert {sign for sign in shown if not sign.isprintable()} == {"\n"}
    assert shown.startswith("error[E0601]: no �]0;x�\n --> a�[2J.cnn:1:1\n")


def test_without_a_place_and_several():
    found = [Diagnostic("E0601", "no file x", hint="try y"), Diagnostic("W0201", "unused")]
    assert text(found) == "error[E0601]: no file x\n  = hint: try y\n\nwarning[W0201]: unused"


def test_a_trail_through_another_file_names_it():
    other = Source("b.cnn", "network n {\n}")
    trail = (Note("in network n", span("network", other)), Note("block b", span("relu")))
    shown = text([Diagnostic("E0301", "bad", span("relu"), trail=trail)])
    assert shown.endswith("= in network n, b.cnn line 1 -> block b, nets/a.cnn line 2")


def test_paint_gets_every_part_with_its_role():
    found = Diagnostic("E0301", "bad", span("relu"), "mend it")
    painted = text([found], lambda content, role: f"<{role} {content}>")
    assert painted.startswith("<error error[E0301]><message : bad>\n <frame -->> nets/a.cnn:2:23")
    assert f"<error {' ' * 22}^^^^>" in painted
    assert "<note hint>: mend it" in painted


def test_json():
    found = Diagnostic(
        "E0301", "bad", span("relu"), None, (Note("see"),), (Note("in", span("add")),)
    )
    (item,) = json.loads(render([found], "json"))
    nowhere = dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    assert item == {
        "code": "E0301",
        "severity": "error",
        "message": "bad",
        "file": "nets/a.cnn",
        "line": 2,
        "column": 23,
        "end_line": 2,
        "end_column": 27,
        "hint": None,
        "notes": [{"text": "see", **nowhere}],
        "trail": [
            {
                "text": "in",
                "file": "nets/a.cnn",
                "line": 5,
                "column": 2,
                "end_line": 5,
                "end_column": 5,
            }
        ],
    }


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (
            Diagnostic("E0301", "50% off\nnow", span("relu"), "a: b, c"),
            "::error file=nets/a.cnn,line=2,col=23,endColumn=27,title=E0301::"
            "50%25 off%0Anow%0Ahint: a: b, c",
        ),
        (
            Diagnostic("W0201", "x", Span(Source("a,b:c%.cnn", "a\nb"), 0, 3)),
            "::warning file=a%2Cb%3Ac%25.cnn,line=1,col=1,endLine=2,title=W0201::x",
        ),
        (Diagnostic("E0601", "no file"), "::error title=E0601::no file"),
    ],
)
def test_github(found, command):
    assert render([found], "github") == command


def test_an_error_as_text_has_places_and_hints():
    found = Diagnostic("E0201", "unknown name 'relu'", span("relu"), "did you mean 'conv'?")
    plain = CnnError.of("E0604", "no input 'x'", hint="inputs: image")
    assert str(CnnError([found, *plain.diagnostics])) == (
        "error[E0201]: unknown name 'relu'\n"
        " --> nets/a.cnn:2:23\n"
        "  |\n"
        "2 |     conv(width, 3) -> relu\n"
        "  |                       ^^^^\n"
        "  = hint: did you mean 'conv'?\n"
        "\n"
        "error[E0604]: no input 'x'\n"
        "  = hint: inputs: image"
    )


def test_of_very_many_findings_the_first_are_shown_as_text_and_all_as_json():
    found = [
        Diagnostic("E0201", f"unknown name 'n{number}'", span("relu")) for number in range(150)
    ]
    shown = render(found, "text")
    assert shown.count("error[E0201]") == 100
    assert shown.endswith("50 more findings are not shown (--output-format json has all)")
    assert "more findings" not in render(found[:100], "text")
    assert len(json.loads(render(found, "json"))) == 150


def test_a_message_that_quotes_a_very_long_name_is_cut(call, tmp_path):
    name = "a" * 30_000
    (tmp_path / "long.cnn").write_text(f"network t {{ input x [3, 8, 8]\n {name} }}")
    (tmp_path / "long.map").write_text(f"{name}** -> b\n")
    shown = call("check", "long.cnn").out
    assert shown.startswith("error[E0201]: unknown name 'aaa")
    assert max(map(len, shown.splitlines())) < 1000
    (finding,) = json.loads(call("check", "long.cnn", "--output-format", "json").out)
    assert finding["message"] == f"unknown name '{name}'"
    save_safetensors("small.safetensors", {"w": np.ones(1, np.float32)})
    weights = ("--weights", "small.safetensors", "--weights-map", "long.map")
    said = call("compile", "small.cnn", *weights).err
    assert "E0407" in said
    assert len(said) < 2500
