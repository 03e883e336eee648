"""What kind each word is, for colours: by its meaning, or by its looks where that is not known."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES
from cnndsl.language.meanings import OPERATORS
from cnndsl.language.names import occurrences
from cnndsl.language.units import Unit
from cnndsl.language.words import KEYWORDS, Word, words
from cnndsl.recipes.registry import ITEMS

KINDS = (
    "keyword", "comment", "string", "number", "operator", "function", "class", "namespace",
    "parameter", "variable", "property", "enumMember", "label",
)  # fmt: skip
"""The types of the Language Server Protocol that are used, and labels."""

_BY_SYMBOL = {
    "operator": "function",
    "function": "function",
    "attribute": "parameter",
    "parameter": "parameter",
    "block": "class",
    "network": "namespace",
    "size": "property",
    "constant": "enumMember",
}


@dataclass(frozen=True)
class Token:
    """A word with one of KINDS; `declares` where a name is declared."""

    start: int
    end: int
    kind: str
    declares: bool = False


def tokens(text: str, unit: Unit) -> list[Token]:
    """All words of a text with their kinds, in order; the unit is what it was loaded as."""
    known = {o.span.start: o for o in occurrences(unit)}
    found = words(text)
    result = []
    for index, word in enumerate(found):
        following = found[index + 1].text if index + 1 < len(found) else ""
        meaning = known.get(word.start)
        if word.kind != "name":
            kind = "operator" if word.kind == "sign" else word.kind
            if kind == "operator" and word.text in "(){}[],|:":
                continue
            result.append(Token(word.start, word.end, kind))
        elif meaning is not None:
            kind = _BY_SYMBOL.get(meaning.symbol.kind, "variable")
            result.append(Token(word.start, word.end, kind, meaning.declares))
        else:
            kind = "label" if _of_label(text, word) else _guess(unit, word, following)
            result.append(Token(word.start, word.end, kind))
    return result


def _of_label(text: str, word: Word) -> bool:
    """Whether a name is a part of a label with braces, such as `conv{i}_x`."""
    return word.text not in KEYWORDS and (
        text[word.end : word.end + 1] == "{" or text[word.start - 1 : word.start] == "}"
    )


def _guess(unit: Unit, word: Word, following: str) -> str:
    """The kind of a name that has no meaning, or not yet."""
    if word.text in KEYWORDS:
        return "keyword"
    if following == ":":
        return "label"
    if word.text in unit.blocks:
        return "class"
    if word.text in unit.networks:
        return "namespace"
    if following == "=":
        return "parameter"
    if word.text in OPERATORS or word.text in FUNCTIONS or word.text in ITEMS:
        return "function"
    if word.text in SHAPE_NAMES:
        return "property"
    return "enumMember" if word.text in CONSTANTS else "variable"
