"""The parser's tables are those of the grammar, and they are data."""

import json

import pytest

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


def test_tables_are_plain_data(grammar, tmp_path, monkeypatch):
    path = tmp_path / "tables.json"
    path.write_text(tables.tables(grammar))
    monkeypatch.setattr(tables, "TABLES", path)
    monkeypatch.setattr(tables, "make_parser", None)
    assert tables.load_parser().parse("network a { relu }").data == "start"
