"""What kind each word is, for colours: by its meaning, or by its looks where that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnndsl.editor.document import Document
from cnndsl.editor.names import occurrences
from cnndsl.editor.words import KEYWORDS, Word, words
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES
from cnndsl.language.meanings import OPERATORS

KINDS = (
    "keyword", "comment", "string", "number", "operator", "function", "class", "namespace",
    "parameter", "variable", "property", "enumMember", "label",
)  # fmt: skip
"""The types of the protocol that are used, and labels."""

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


def tokens(document: Document) -> list[Token]:
    """All words of a text with their kinds, in order."""
    known = {o.span.start: o for o in occurrences(document.unit)}
    found = words(document.text)
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
            result.append(Token(word.start, word.end, _guess(document, word, following)))
    return result


def _guess(document: Document, word: Word, following: str) -> str:
    """The kind of a name that has no meaning, or not yet."""
    if word.text in KEYWORDS:
        return "keyword"
    if following == ":":
        return "label"
    if word.text in document.unit.blocks:
        return "class"
    if word.text in document.unit.networks:
        return "namespace"
    if following == "=":
        return "parameter"
    if word.text in OPERATORS or word.text in FUNCTIONS:
        return "function"
    if word.text in SHAPE_NAMES:
        return "property"
    return "enumMember" if word.text in CONSTANTS else "variable"


def encoded(document: Document) -> Iterator[int]:
    """The tokens as the protocol packs them: five numbers each, relative to the one before."""
    line = character = 0
    for token in tokens(document):
        start = document.lines.position(token.start)
        end = document.lines.position(token.end)
        yield start.line - line
        yield start.character - (character if start.line == line else 0)
        yield end.character - start.character
        yield KINDS.index(token.kind)
        yield int(token.declares)
        line, character = start
