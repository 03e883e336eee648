"""Rename rules: how the names in a weight file become the names of a network.

One rule a line, `source -> target`; `#` starts a comment. Names are split at dots.

    features.0.0.* -> stem.conv.*              * matches one part of a name, or some of its letters
    features.*.conv.** -> blocks.{1-1}.**      ** matches any number of parts, also none
    classifier.{1,4,6}.* -> fc{1+6}.*         {…} matches one of the words between its commas
    **.num_batches_tracked -> -                - drops the name

The first rule that matches the whole name decides; a name that no rule matches stays. `{2}` in
a target is what the source's second wildcard matched, of a list the place of the word counted
from 0, and `{2+1}` counts on from it: the operators are + - * // %, taken from left to right.
Each `*` or `**` in a target takes, in order, what a wildcard of its kind matched, of those that no
braces mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TypeVar

from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.runtime.files import read_file
from cnndsl.runtime.options import wrong
from cnndsl.weights.buffers import Array, Weights
from cnndsl.weights.files import load_weights

T = TypeVar("T")

MAX_BYTES = 1 << 20
MAX_WILDCARDS = 9
DROP = "-"
WILDCARD = re.compile(r"\*\*?")
SOURCE_WILDCARD = re.compile(r"(\*\*?|\{[^{}]*\})")
DOT = re.compile(r"\.(?![^{}]*\})")
BRACES = re.compile(r"\{([1-9])((?:(?:\+|-|\*|//|%)[0-9]{1,9})*)\}")
STEP = re.compile(r"(\+|-|\*|//|%)([0-9]+)")


@dataclass(frozen=True)
class Rule:
    """One line: what names it matches, and the parts of the name that it gives them.

    In `target`, `{n}` and `{n+1}` stand for the n-th match; None drops the name. `words` are the
    lists among the wildcards, by their numbers.
    """

    pattern: re.Pattern[str]
    target: str | None
    span: Span
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def rename(self, name: str) -> str | None:
        """The new name; the pattern must match. Raises CnnError if braces meet no number."""
        match = self.pattern.fullmatch(name + ".")
        assert match
        if self.target is None:
            return None
        text = BRACES.sub(lambda braces: self._value(match, braces), self.target)
        return ".".join(part for part in text.split(".") if part)

    def _value(self, match: re.Match[str], braces: re.Match[str]) -> str:
        wildcard = int(braces[1])
        text = match[wildcard].removesuffix(".")
        if wildcard in self.words:
            text = str(self.words[wildcard].index(text))
        if not braces[2]:
            return text
        if not re.fullmatch("[0-9]{1,9}", text):
            raise _error(
                self.span, "E0408", f"{braces[0]} counts from {text!r}, which is no number"
            )
        number = int(text)
        for operator, operand in STEP.findall(braces[2]):
            number = _count(number, operator, int(operand))
        if number < 0:
            raise _error(self.span, "E0408", f"{braces[0]} is negative where it matches {text}")
        return str(number)


@dataclass(frozen=True)
class Rules:
    """The rules of a file, in its order."""

    rules: tuple[Rule, ...]

    def apply(self, arrays: Mapping[str, T]) -> dict[str, T]:
        """The same values under their new names, without those that are dropped.

        Raises CnnError: E0408 if a rule cannot count, E0409 if two names become the same.
        """
        renamed: dict[str, T] = {}
        origins: dict[str, tuple[str, Span | None]] = {}
        for name, array in arrays.items():
            rule = next((r for r in self.rules if r.pattern.fullmatch(name + ".")), None)
            target = rule.rename(name) if rule else name
            if target is None:
                continue
            span = rule.span if rule else None
            if target in origins:
                other, other_span = origins[target]
                message = f"{other!r} and {name!r} both become {target!r}"
                raise _error(span or other_span, "E0409", message)
            renamed[target], origins[target] = array, (name, span)
        return renamed


def read_weights(
    weights: str | PathLike[str] | Mapping[str, Array] | None,
    weights_map: str | PathLike[str] | None,
) -> Mapping[str, Array] | None:
    """Arrays by the network's names: those of a file or given ones, renamed by a file of rules.

    Raises CnnError if a file cannot be read, the rules do not fit, or (E0615) it is neither.
    """
    if not isinstance(weights, str | PathLike | Mapping | None):
        raise wrong("weights", "a file, or arrays by name", weights)
    arrays = load_weights(Path(weights)) if isinstance(weights, str | PathLike) else weights
    if arrays is None or weights_map is None:
        return arrays
    renamed = Weights(load_rules(weights_map).apply(arrays))
    renamed.warnings = arrays.warnings if isinstance(arrays, Weights) else ()
    return renamed


def load_rules(path: str | PathLike[str]) -> Rules:
    """The rules in a file. Raises CnnError: E0601 if it cannot be read, E0407 for its lines."""
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CnnError.of("E0601", f"cannot read {path}: it is not UTF-8 text") from None
    return parse_rules(Source(str(path), text))


def parse_rules(source: Source) -> Rules:
    """The rules in a text. Raises CnnError (E0407) with all lines that are no rules."""
    rules: list[Rule] = []
    errors: list[Diagnostic] = []
    for span, text in _lines(source):
        try:
            rules.append(_rule(text, span))
        except ValueError as error:
            hint = "a rule is `source -> target`, such as `features.*.weight -> {1+1}.weight`"
            errors.append(Diagnostic("E0407", str(error), span, hint))
    if errors:
        raise CnnError(errors, usage=True)
    return Rules(tuple(rules))


def _lines(source: Source) -> Iterator[tuple[Span, str]]:
    """The lines that hold more than a comment."""
    offset = 0
    for line in source.text.split("\n"):
        text = line.partition("#")[0].strip()
        if text:
            start = offset + line.index(text)
            yield Span(source, start, start + len(text)), text
        offset += len(line) + 1


def _rule(text: str, span: Span) -> Rule:
    match text.split():
        case [left, "->", right]:
            pattern = re.compile("".join(map(_part_pattern, _parts(left))))
            kinds = SOURCE_WILDCARD.findall(left)
            if len(kinds) > MAX_WILDCARDS:
                raise ValueError(f"more than {MAX_WILDCARDS} wildcards in one rule")
            target = None if right == DROP else _target(right, kinds)
            words = {n: _words(kind) for n, kind in enumerate(kinds, 1) if kind.startswith("{")}
            return Rule(pattern, target, span, words)
    raise ValueError("this line is not a rule")


def _words(wildcard: str) -> tuple[str, ...]:
    words = tuple(wildcard[1:-1].split(","))
    if not all(words) or len(set(words)) < len(words):
        raise ValueError(f"{wildcard} is no list of different words, as in {{a,b}}")
    return words


def _parts(name: str) -> list[str]:
    parts = DOT.split(name)
    for part in parts:
        if not part:
            raise ValueError(f"{name} has an empty part")
        if "**" in part and part != "**":
            raise ValueError(f"** stands for whole parts, not within {part}")
    return parts


def _part_pattern(part: str) -> str:
    """A regular expression for a part and the dot behind it."""
    if part == "**":
        return r"((?:[^.]+\.)*)"
    return "".join(map(_piece_pattern, SOURCE_WILDCARD.split(part))) + r"\."


def _piece_pattern(piece: str) -> str:
    if piece == "*":
        return r"([^.]+)"
    if piece.startswith("{"):
        return f"({'|'.join(map(re.escape, _words(piece)))})"
    return re.escape(piece)


def _target(text: str, kinds: list[str]) -> str:
    """The target with all its wildcards as braces. `kinds` are the source's wildcards."""
    literal = BRACES.sub("", text)
    if re.search(r"[{}]", literal):
        raise ValueError("braces hold the number of a wildcard, as in {1} or {2+1}")
    mentioned = {int(number) for number, _ in BRACES.findall(text)}
    if mentioned and max(mentioned) > len(kinds):
        raise ValueError(f"{{{max(mentioned)}}} names a wildcard that the source does not have")
    _parts(BRACES.sub("x", text))
    free = [(number, kind) for number, kind in enumerate(kinds, 1) if number not in mentioned]

    def take(wildcard: re.Match[str]) -> str:
        found = next((item for item in free if item[1] == wildcard[0]), None)
        if found is None:
            raise ValueError(f"the source has no {wildcard[0]} left for the target")
        free.remove(found)
        return f"{{{found[0]}}}"

    pieces = re.split(r"(\{[^}]*\})", text)
    return "".join(p if p.startswith("{") else WILDCARD.sub(take, p) for p in pieces)


def _count(number: int, operator: str, operand: int) -> int:
    match operator:
        case "+":
            return number + operand
        case "-":
            return number - operand
        case "*":
            return number * operand
    if operand == 0:
        return -1
    return number // operand if operator == "//" else number % operand


def _error(span: Span | None, code: str, message: str) -> CnnError:
    return CnnError([Diagnostic(code, message, span)], usage=True)
