"""The parser's tables are those of the grammar, and they are data."""

import json
import random

import pytest
from lark.grammar import Rule
from lark.parsers.lalr_analysis import IntParseTable, Shift
from lark.utils import SerializeMemoizer

from cnndsl.language.parse import tables
from cnndsl.language.sources import zoo


@pytest.fixture(scope="module")
def grammar():
    return tables.GRAMMAR.read_text("utf-8")


def test_the_kept_tables_are_taken(monkeypatch):
    monkeypatch.setattr(tables, "make_parser", None)
    assert tables.load_parser().parse("network a { relu }").data == "start"


def test_they_parse_as_the_grammar_does(grammar):
    kept, made = tables.load_parser(), tables.make_parser(grammar)
    for path in sorted(set(zoo().values()))[:6]:
        text = path.read_text("utf-8")
        assert kept.parse(text) == made.parse(text)


@pytest.mark.parametrize("change", ["grammar", "data", "memo"])
def test_other_tables_are_not_taken(change, tmp_path, monkeypatch):
    kept = json.loads(tables.TABLES.read_text("utf-8"))
    kept[change] = "another" if change == "grammar" else {}
    path = tmp_path / "tables.json"
    path.write_text(json.dumps(kept))
    monkeypatch.setattr(tables, "TABLES", path)
    assert tables.load_parser().parse("network a { relu }").data == "start"


def test_the_order_of_sets_does_not_show(grammar):
    table = tables.make_parser(grammar).parser.parser._parse_table
    numbers = list(table.states)
    other = dict(zip(numbers, random.Random(0).sample(numbers, len(numbers)), strict=True))
    states = {
        other[state]: {
            token: (action, other[goal] if action is Shift else goal)
            for token, (action, goal) in reversed(actions.items())
        }
        for state, actions in table.states.items()
    }
    ends, starts = ({"start": other[s["start"]]} for s in (table.end_states, table.start_states))
    found, expected = map(tables._in_order, (IntParseTable(states, starts, ends), table))
    assert json.dumps(found.serialize(SerializeMemoizer([Rule]))) == json.dumps(
        expected.serialize(SerializeMemoizer([Rule]))
    )


def test_tables_are_plain_data(grammar, tmp_path, monkeypatch):
    path = tmp_path / "tables.json"
    path.write_text(tables.tables(grammar))
    monkeypatch.setattr(tables, "TABLES", path)
    monkeypatch.setattr(tables, "make_parser", None)
    assert tables.load_parser().parse("network a { relu }").data == "start"
