"""The parser of `grammars/cnn.lark`, from its tables in `grammars/cnn.tables.json`.

Lark takes most of a second to make the tables. They are plain data, made by
`python -m cnndsl.language.parse.tables` whenever the grammar changes.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef
from lark.parsers.lalr_analysis import IntParseTable, Shift

from cnndsl.language.parse.lines import LineBreaks

GRAMMAR, TABLES = (
    resources.files("cnndsl.grammars") / f"cnn.{end}" for end in ("lark", "tables.json")
)
OPTIONS = {
    "parser": "lalr",
    "lexer": "basic",
    "propagate_positions": True,
    "maybe_placeholders": True,
}


def load_parser() -> Lark:
    """The parser; made from the grammar if the tables are of another one, or of another Lark."""
    grammar = GRAMMAR.read_text("utf-8")
    try:
        kept = json.loads(TABLES.read_text("utf-8"), object_hook=_with_numbers)
        if kept["grammar"] == _digest(grammar):
            parser: Lark = Lark._load_from_dict(kept["data"], kept["memo"], postlex=LineBreaks())
            return parser
    except Exception:  # whatever another Lark makes of them
        pass
    return make_parser(grammar)


def make_parser(grammar: str) -> Lark:
    """The parser of a grammar, its tables made anew."""
    return Lark(grammar, postlex=LineBreaks(), **OPTIONS)


def tables(grammar: str) -> str:
    """The tables of a grammar as text, the same at each call."""
    parser = make_parser(grammar)
    lalr: Any = parser.parser.parser
    lalr._parse_table = _in_order(lalr._parse_table)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"] = {**OPTIONS, "start": ["start"]}
    kept = {"grammar": _digest(grammar), "data": data, "memo": memo}
    return json.dumps(kept, separators=(",", ":")) + "\n"


def _in_order(table: IntParseTable) -> IntParseTable:
    """A table with its states numbered as a search from the start meets them.

    Lark numbers them in the order of a set.
    """
    numbers: dict[int, int] = {}
    waiting = [state for _, state in sorted(table.start_states.items())]
    for state in waiting:  # which grows
        if state not in numbers:
            numbers[state] = len(numbers)
            actions = sorted(table.states[state].items())
            waiting += [goal for _, (action, goal) in actions if action is Shift]
    states = {
        number: {
            token: (action, numbers[goal] if action is Shift else goal)
            for token, (action, goal) in sorted(table.states[state].items())
        }
        for state, number in numbers.items()
    }
    ends = {name: numbers[state] for name, state in table.end_states.items()}
    starts = {name: numbers[state] for name, state in table.start_states.items()}
    return IntParseTable(states, starts, ends)


def _digest(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()


def _with_numbers(table: dict[str, Any]) -> dict[Any, Any]:
    """JSON has texts as keys only; those of states and rules are numbers."""
    return {int(key) if key.isdigit() else key: value for key, value in table.items()}


if __name__ == "__main__":
    with resources.as_file(TABLES) as path:
        path.write_text(tables(GRAMMAR.read_text("utf-8")), "utf-8")
