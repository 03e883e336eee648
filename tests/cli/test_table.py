import json

import pytest

from cnndsl.cli import terminal
from cnndsl.diagnostics.table import columns_that_fit, table_lines

ROWS = [
    ["name", "count", "meaning"],
    ["relu", "12", "what is below zero becomes zero"],
    ["a_name_of_its_own", "3", "short"],
]


def test_as_wide_as_it_is():
    assert list(table_lines(ROWS, [1], None)) == [
        "name               count  meaning",
        "relu                  12  what is below zero becomes zero",
        "a_name_of_its_own      3  short",
    ]
    assert list(table_lines(ROWS, [1], 80)) == list(table_lines(ROWS, [1], None))


def test_control_codes_of_names_are_not_obeyed():
    rows = [["class"], ["\x1b[2J\n\x9bx"]]
    assert list(table_lines(rows, (), None)) == ["class", "�[2J��x"]
    assert list(table_lines(rows, (), 40)) == ["class", "�[2J��x"]


def test_cells_are_wrapped_into_a_width():
    assert list(table_lines(ROWS, [1], 40)) == [
        "name             count  meaning",
        "relu                12  what is below",
        "                          zero becomes",
        "                          zero",
        "a_name_of_its_…      3  short",
    ]


def test_columns_do_not_vanish():
    lines = list(table_lines(ROWS, [1], 10))
    assert max(map(len, lines)) == 12 + 2 + 5 + 2 + 12
    assert list(table_lines([["1", "2"]], [0, 1], 2)) == ["1  2"]


@pytest.mark.parametrize("what", ["ops", "passes", "targets"])
def test_lists_fit_a_terminal_but_pipes_get_whole_lines(call, monkeypatch, what):
    piped = call("list", what).out.splitlines()
    assert len(piped) == 1 + len(json.loads(call("list", what, "--json").out))
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("list", what).out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(line.split()[0] in shown for line in piped)


def test_words_that_are_too_long_end_in_an_ellipsis_and_numbers_are_whole():
    path = "/a/long/path/without/any/space.cnn"
    rows = [["name", "params", "file"], ["resnet50_v1_5", "25,557,032", path]]
    for width in range(1, 50):
        head, line, *rest = table_lines(rows, [1], width)
        assert rest == []
        assert head.split() == ["name", "params", "file"]
        name, number, file = line.split()
        assert number == "25,557,032"
        for shown, whole in ((name, "resnet50_v1_5"), (file, path)):
            assert shown == whole or (shown[-1] == "…" and whole.startswith(shown[:-1]))
            assert len(shown) >= 12


def test_shapes_are_whole():
    rows = [["layer", "shape"], ["a_layer_of_a_net", "1024x1024x3x3"], ["b", ""]]
    assert list(table_lines(rows, [], 9))[1] == "a_layer_of_…  1024x1024x3x3"


def test_names_of_networks_are_whole_and_what_is_left_out_is_named(call, monkeypatch):
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    names = {row["name"] for row in json.loads(call("list", "networks", "densenet", "--json").out)}
    for width, missing in ((30, ["inputs", "params", "macs", "file", "errors"]), (80, ["errors"])):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = call("list", "networks", "densenet")
        lines = shown.out.splitlines()
        assert {line.split()[0] for line in lines[1:]} == names
        assert max(map(len, lines)) <= width
        said = next(line for line in shown.err.splitlines() if "no room for" in line)
        assert all(column in said for column in missing)
        assert not set(missing) & set(lines[0].split())


def test_rows_of_numbers_are_never_broken_over_lines():
    rows = [["name", "params", "macs"], ["a", "1,234,567", "89"]]
    assert [columns_that_fit(rows, width) for width in (1, 5, 14, 15, 20, 21)] == [1, 1, 1, 2, 2, 3]
