from __future__ import annotations

import json
import re
from importlib import resources

GRAMMARS = resources.files("cnndsl.grammars")
SAMPLE = """\
network n(width=4.5) { # a "comment"
    conv{i+2}_x: repeat n { unit("a # b", true) -> concat { x | y } }
    let kept = if a == 1e-3 and b { relu }
"""


def keywords() -> set[str]:
    """The words in quotes in the grammar itself."""
    grammar = GRAMMARS.joinpath("cnn.lark").read_text("utf-8")
    return set(re.findall(r'"([a-z]+)"', grammar))


def textmate_scopes(text: str) -> list[tuple[str, str]]:
    """Each match of the TextMate patterns: the leftmost one, of several the first listed."""
    patterns = json.loads(GRAMMARS.joinpath("cnn.tmLanguage.json").read_text("utf-8"))["patterns"]
    found = []
    position = 0
    while matches := [
        (match.start(), number, match)
        for number, pattern in enumerate(patterns)
        if (match := re.compile(pattern["match"], re.MULTILINE).search(text, position))
    ]:
        _, number, match = min(matches, key=lambda item: item[:2])
        pattern = patterns[number]
        position = match.end()
        if "name" in pattern:
            found.append((match.group(), pattern["name"].removesuffix(".cnn")))
        for group, capture in pattern.get("captures", {}).items():
            found.append((match.group(int(group)), capture["name"].removesuffix(".cnn")))
    return found


def test_textmate_grammar_knows_the_keywords() -> None:
    unknown = {"variable.other", "entity.name.function.call", "variable.parameter"}
    for keyword in keywords():
        [(text, scope), *_] = textmate_scopes(f"{keyword} name")
        assert text == keyword
        assert scope not in unknown


def test_textmate_grammar_on_a_sample() -> None:
    scopes = textmate_scopes(SAMPLE)
    expected = [
        ("network", "storage.type"),
        ("n", "entity.name.function"),
        ("width", "variable.parameter"),
        ("=", "keyword.operator"),
        ("4.5", "constant.numeric"),
        ('# a "comment"', "comment.line.number-sign"),
        ("conv{i+2}_x", "entity.name.tag"),
        ("repeat", "keyword.control"),
        ("n", "variable.other"),
        ("unit", "entity.name.function.call"),
        ('"a # b"', "string.quoted.double"),
        ("true", "constant.language"),
        ("->", "keyword.operator"),
        ("concat", "keyword.control.join"),
        ("x", "variable.other"),
        ("|", "keyword.operator"),
        ("y", "variable.other"),
        ("let", "storage.type"),
        ("kept", "variable.other.definition"),
        ("=", "keyword.operator"),
        ("if", "keyword.control"),
        ("a", "variable.other"),
        ("==", "keyword.operator"),
        ("1e-3", "constant.numeric"),
        ("and", "keyword.operator.word"),
        ("b", "variable.other"),
        ("relu", "variable.other"),
    ]
    assert scopes == expected


def test_vim_syntax_has_the_keywords() -> None:
    text = GRAMMARS.joinpath("cnn.vim").read_text("utf-8")
    lines = re.findall(r"^syntax keyword \w+ (.*)$", text, re.MULTILINE)
    assert {word for line in lines for word in line.split()} == keywords()
