"""Rename rules: what they match, what comes out, and where a mistake is."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.diagnostics import CnnError, Source
from cnndsl.weights.rename import load_rules, parse_rules


def rename(text: str, *names: str) -> list[str]:
    return list(parse_rules(Source("x.map", text)).apply(dict.fromkeys(names, 0)))


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        ("a.b -> c", "a.b", "c"),
        ("a.b -> c", "a.b.weight", "a.b.weight"),
        ("a.b -> c", "x.a.b", "x.a.b"),
        ("a.* -> c.*", "a.weight", "c.weight"),
        ("a.* -> c.*", "a.b.weight", "a.b.weight"),
        ("a.** -> c.**", "a.b.weight", "c.b.weight"),
        ("a.** -> c.**", "a", "c"),
        ("** -> net.**", "a.b", "net.a.b"),
        ("**.weight -> **.w", "weight", "w"),
        ("*.*.x -> {2}.{1}", "a.b.x", "b.a"),
        ("a.*.** -> s{1+1}.**", "a.3.conv.weight", "s4.conv.weight"),
        ("a.*.** -> {1-1}.**", "a.1.weight", "0.weight"),
        ("*.** -> {1//3}.{1%3}.**", "7.weight", "2.1.weight"),
        ("* -> {1*2+1}", "5", "11"),
        ("**.*.* -> **.{3}.{2}", "x.y.a.b", "x.y.b.a"),
        ("*.**.* -> *.*.**", "a.b.c.d", "a.d.b.c"),
        ("block*.layer*.** -> b{1-1}.{2-1}.**", "block1.layer12.n.weight", "b0.11.n.weight"),
        ("f.{0,3,10}.* -> conv{1+1}.*", "f.10.weight", "conv3.weight"),
        ("f.{0,3}.* -> conv{1+1}.*", "f.1.weight", "f.1.weight"),
        ("m*.{a,b.0,b.1}.** -> m{1}.{2}.**", "m5.b.1.conv.weight", "m5.2.conv.weight"),
        ("conv{2a,2b,10}.* -> c{1}.*", "conv2b.weight", "c1.weight"),
        ("{x.y}.* -> z{1}.*", "x+y.w", "x+y.w"),
        ("*.{a,b}.* -> {2}.*.*", "l.b.weight", "1.l.weight"),
        ("a+b.* -> c.*", "aab.x", "aab.x"),
        ("a+b.* -> c.*", "a+b.x", "c.x"),
        ("a.b -> c # a comment", "a.b", "c"),
        ("\r\n  a.b   ->\tc\r\n", "a.b", "c"),
    ],
)
def test_rules(rule, name, expected):
    assert rename(rule, name) == [expected]


def test_the_first_rule_wins():
    assert rename("# both match\n\na.x -> first\na.* -> second.*\n", "a.x", "a.y") == [
        "first",
        "second.y",
    ]


def test_names_are_dropped():
    assert rename("**.counter -> -", "a.counter", "a.weight") == ["a.weight"]


def test_values_keep_their_names():
    rules = parse_rules(Source("x.map", "a -> b\nb -> a"))
    assert rules.apply({"a": 1, "b": 2}) == {"b": 1, "a": 2}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.b", "not a rule"),
        ("a.b -> c -> d", "not a rule"),
        ("a.b->c", "not a rule"),
        ("-> c", "not a rule"),
        ("a..b -> c", "empty part"),
        ("a -> c.", "empty part"),
        ("a** -> c", "whole parts"),
        ("a.*** -> c", "whole parts"),
        ("{a,,b} -> c", "no list"),
        ("{a,a} -> c", "no list"),
        ("{a,b} -> *", "no * left"),
        ("a -> *", "no * left"),
        ("a.* -> **", "no ** left"),
        ("a.* -> {1}.*", "no * left"),
        ("a.* -> {2}", "{2}"),
        ("a.* -> {0}", "braces"),
        ("a.* -> {1+}", "braces"),
        ("a.* -> {1/2}", "braces"),
        ("a.* -> {x}", "braces"),
        ("a.* -> {1", "braces"),
        ("a.* -> {1+9999999999}", "braces"),
        (".".join("*" * 10) + " -> a", "more than 9"),
    ],
)
def test_wrong_lines(line, message):
    with pytest.raises(CnnError) as caught:
        parse_rules(Source("x.map", f"# first\n  {line}\nfine -> good\nbad"))
    wrong, last = caught.value.diagnostics
    assert wrong.code == "E0407"
    assert message in wrong.message
    assert (wrong.span.line, wrong.span.column) == (2, 3)
    assert (last.span.line, last.span.column) == (4, 1)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("* -> {1-1}", "0"),
        ("* -> {1+1}", "x"),
        ("* -> {1+1}", "٣"),
        ("** -> {1+1}", "1.2"),
        ("* -> {1//0}", "1"),
        ("* -> {1%0}", "1"),
        ("* -> {1+1}", "9" * 5000),
    ],
)
def test_braces_that_cannot_count(rule, name):
    with pytest.raises(CnnError) as caught:
        rename(rule, name)
    assert caught.value.diagnostics[0].code == "E0408"
    assert caught.value.diagnostics[0].span.line == 1


def test_two_names_become_one():
    with pytest.raises(CnnError, match=r"E0409.*'b' and 'a' both become 'c'\n.*x.map:2:1\n"):
        rename("b -> c\na -> c", "b", "a")
    with pytest.raises(CnnError, match=r"E0409.*'a' and 'b' both become 'b'\n.*x.map:1:1\n"):
        rename("a -> b", "a", "b")


def test_files(tmp_path):
    path = tmp_path / "x.map"
    path.write_text("a -> b\n")
    assert load_rules(path).apply({"a": 1}) == {"b": 1}
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CnnError, match=r"E0601.*not UTF-8"):
        load_rules(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(CnnError, match=r"E0601.*more than 1,048,576 bytes"):
        load_rules(path)
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to
    for missing in (tmp_path, tmp_path / "missing", tmp_path / "pipe"):
        with pytest.raises(CnnError, match="E0601"):
            load_rules(missing)


@given(st.text("ab.*{}1+-%/> \n#", max_size=60), st.text("ab1.", max_size=20))
def test_any_text_is_rules_or_an_error(text, name):
    codes = set()
    try:
        rules = parse_rules(Source("x.map", text))
        rules.apply({name: 0})
    except CnnError as error:
        codes = {diagnostic.code for diagnostic in error.diagnostics}
    assert codes <= {"E0407", "E0408"}
