"""What could be written at a place: operators, blocks, arguments, values, imports, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnndsl.diagnostics import CnnError
from cnndsl.editor.document import Document
from cnndsl.ir.attributes import attribute_kinds, required_attributes
from cnndsl.ir.photo import Photo
from cnndsl.language import tree as ast
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES
from cnndsl.language.loader import imported_file
from cnndsl.language.meanings import JOINS, OPERATORS
from cnndsl.language.sources import networks_in, zoo_folder
from cnndsl.language.units import definition_of
from cnndsl.language.words import Word, before, words
from cnndsl.recipes.registry import ITEMS
from cnndsl.reference import Reference

_ITEMS = ("import", "defaults", "block", "network", "recipe")
_STATEMENTS = ("input", "let", "layer", "output", "auxiliary", "return", "defaults")
_ELEMENTS = ("if", "for", "repeat")
_DECLARING = ("let", "input", "layer", "for", "output")
_BLOCK_LINE = re.compile(r"^block[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass(frozen=True)
class Completion:
    """A word that fits; `insert` is what is written, `detail` and `text` (Markdown) explain it."""

    kind: str
    label: str
    insert: str
    detail: str = ""
    text: str = ""


def completions(document: Document, offset: int) -> list[Completion]:
    """All words that could stand at an offset; editors sort out those that begin otherwise."""
    found = words(document.text)
    if any(w.kind == "comment" and w.start < offset <= w.end for w in found):
        return []
    line = document.text[document.text.rfind("\n", 0, offset) + 1 : offset]
    if re.search(r'\bfrom[ \t]+"[^"]*$', line):
        return list(_files(document))
    if any(w.kind == "string" and w.start < offset < w.end for w in found):
        return []
    known = before(found, offset)
    if known and known[-1].kind == "name" and known[-1].end == offset:
        known = known[:-1]
    behind = document.text[offset : (document.text + "\n").find("\n", offset)]
    if re.match(r"[ \t]*import\b", line):
        return list(_imported(document, line + behind))
    seen: dict[str, Completion] = {}
    for completion in _fitting(document, known):
        seen.setdefault(completion.label, completion)
    return list(seen.values())


def _fitting(document: Document, known: Sequence[Word]) -> Iterator[Completion]:
    opened = _open(known)
    last = known[-1].text if known else ""
    if not opened:
        if _item_head(known, document.text) == "network" and last == "=":
            yield from _networks(document)
        elif _item_head(known, document.text) == "defaults":
            yield from _operators(JOINS)
            yield from _blocks(document)
        elif _item_head(known, document.text) == "recipe":
            yield from _networks(document)
        else:
            yield from (Completion("keyword", word, f"{word} ") for word in _ITEMS)
        return
    index = opened[-1]
    if _in_recipe(known, opened[0]):
        yield from _of_recipe(document, known, index)
        return
    if known[index].text == "(" and index and known[index - 1].kind == "name":
        if last in ("(", ","):
            yield from _arguments(document, known, index)
        yield from _choices(document, known, index)
    yield from _locals(document, known)
    yield from _blocks(document)
    yield from _operators({})
    if known[index].text == "{":
        if last == "]" and _item_head(known, document.text) == "input":
            photo = Reference(Photo)
            yield Completion("operator", photo.name, "photo(", photo.signature, photo.text)
        if last not in ("->", "="):
            yield from (Completion("keyword", word, f"{word} ") for word in _STATEMENTS)
        yield from (Completion("keyword", word, f"{word} ") for word in _ELEMENTS)
    for name, function in FUNCTIONS.items():
        yield Completion("function", name, name, function.usage)
    for name in SHAPE_NAMES:
        yield Completion("size", name, name, f"{name} of the value at hand")
    yield from (Completion("keyword", word, word) for word in ("true", "false"))


def _in_recipe(known: Sequence[Word], opening: int) -> bool:
    """Whether a bracket is the brace of a recipe."""
    head = opening - 1
    while head >= 0 and (known[head].kind == "name" or known[head].text == ","):
        if known[head].text == "recipe":
            return known[opening].text == "{"
        head -= 1
    return False


def _of_recipe(document: Document, known: Sequence[Word], index: int) -> Iterator[Completion]:
    """Items in the braces of a recipe, and what stands in the brackets of one."""
    if known[index].text == "{":
        for name, item in ITEMS.items():
            told = Reference(item)
            insert = f"{name}(" if required_attributes(told.operator) else name
            yield Completion("operator", name, insert, told.signature, told.text)
        return
    if known[index].text == "(" and known[-1].text in ("(", ","):
        yield from _arguments(document, known, index)
    yield from _choices(document, known, index)
    if _takes_operators(known, index):
        for operator in _operators(JOINS):
            yield replace(operator, insert=operator.label)


def _takes_operators(known: Sequence[Word], index: int) -> bool:
    """Whether operators are named here, behind `of=` or in a list behind it."""
    listed = known[index].text == "[" and known[-1].text in ("[", ",")
    sign = index - 1 if listed else len(known) - 1
    opening = _open(known[:sign])[-1]
    item = _attributed(known, opening)
    if item is None or known[sign].text != "=":
        return False
    kind = attribute_kinds(item).get(known[sign - 1].text)
    return kind is not None and "operator" in kind.says


def _open(known: Sequence[Word]) -> list[int]:
    """The brackets that are open behind some words, innermost last."""
    opened: list[int] = []
    for index, word in enumerate(known):
        if word.kind == "sign" and word.text in "({[":
            opened.append(index)
        elif word.kind == "sign" and word.text in ")}]" and opened:
            opened.pop()
        elif word.text in ("block", "network", "recipe") and _starts_line(known, index):
            opened.clear()
    return opened


def _starts_line(known: Sequence[Word], index: int) -> bool:
    """Whether a keyword is that of a definition: the first word, or behind a closed bracket."""
    return index == 0 or known[index - 1].text not in ("(", ",", "=", "->", "|", "[")


def _item_head(known: Sequence[Word], text: str) -> str:
    """The keyword of the line that is written at present."""
    if not known:
        return ""
    start = text.rfind("\n", 0, known[-1].end) + 1
    return next((word.text for word in known if word.start >= start), "")


def _operators(left_out: Mapping[str, object]) -> Iterator[Completion]:
    for name, operator in OPERATORS.items():
        if name in left_out or operator.internal:
            continue
        known = Reference(operator)
        insert = f"{name} {{ " if name in JOINS else name
        insert += "(" if required_attributes(operator) and name not in JOINS else ""
        yield Completion("operator", name, insert, known.signature, known.text)


def _blocks(document: Document) -> Iterator[Completion]:
    definitions = {n: b.definition for n, b in document.unit.blocks.items()}
    lost = {n: d for n, d in document.definitions.items() if d.keyword == "block"}
    for name, definition in {**lost, **definitions}.items():
        yield Completion("block", name, name, _head(definition))


def _head(definition: ast.Definition) -> str:
    text = definition.span.source.text
    return text[definition.span.start : definition.body.span.start].strip()


def _networks(document: Document) -> Iterator[Completion]:
    for name, (unit, item) in document.unit.networks.items():
        definition = definition_of(unit, item)
        yield Completion("network", name, name, _head(definition) if definition else "")


def _arguments(document: Document, known: Sequence[Word], opening: int) -> Iterator[Completion]:
    """The names of arguments that a call does not give yet."""
    callee = known[opening - 1].text
    given = {
        known[i].text
        for i in range(opening, len(known) - 1)
        if known[i].kind == "name" and known[i + 1].text == "="
    }
    definition = _called(document, callee)
    target = _attributed(known, opening)
    if target is not None and (definition is None or target not in OPERATORS.values()):
        for name, kind in attribute_kinds(target).items():
            if name not in given:
                yield Completion("parameter", name, f"{name}=", f"takes {kind.says}")
        return
    for parameter in definition.parameters if definition else ():
        if parameter.name.text not in given:
            name, span = parameter.name.text, parameter.span
            yield Completion("parameter", name, f"{name}=", span.source.text[span.start : span.end])


def _attributed(known: Sequence[Word], opening: int) -> type | None:
    """The operator, photo or item of a recipe that is called, by what stands before the bracket."""
    callee = known[opening - 1].text
    opened = _open(known[: opening + 1])
    if _in_recipe(known, opened[0]):
        return ITEMS.get(callee)
    if callee == Photo.name and opening > 1 and known[opening - 2].text == "]":
        return Photo
    return OPERATORS.get(callee)


def _called(document: Document, name: str) -> ast.Definition | None:
    """The block or network that a call names."""
    if name in document.unit.blocks:
        return document.unit.blocks[name].definition
    if name in document.unit.networks:
        return definition_of(*document.unit.networks[name])
    return document.definitions.get(name)


def _choices(document: Document, known: Sequence[Word], opening: int) -> Iterator[Completion]:
    """The words that an argument of an operator takes, such as modes of padding."""
    operator = _attributed(known, opening)
    if operator is None or len(known) < 2 or known[-1].text != "=":
        return
    kind = attribute_kinds(operator).get(known[-2].text)
    for word in re.findall(r"[a-z_0-9]+", kind.says) if kind else ():
        if kind and (word in CONSTANTS or word in kind.words or word in ("true", "false")):
            yield Completion("constant", word, word, kind.says)


def _locals(document: Document, known: Sequence[Word]) -> Iterator[Completion]:
    """Names that the present block or network has declared before."""
    start = max(
        (
            i
            for i, w in enumerate(known)
            if w.text in ("block", "network") and _starts_line(known, i)
        ),
        default=0,
    )
    here = known[start:]
    head = here[1].text if len(here) > 1 else ""
    definition = document.definitions.get(head)
    for parameter in definition.parameters if definition else ():
        yield Completion("parameter", parameter.name.text, parameter.name.text, f"of {head}")
    for index, word in enumerate(here):
        if word.text not in _DECLARING or word.kind != "name":
            continue
        for name in here[index + 1 :]:
            if name.kind == "name" and name.text not in ("in", *_DECLARING):
                yield Completion("value", name.text, name.text, word.text)
            elif name.text != ",":
                break
            if name.text == "in":
                break


def _files(document: Document) -> Iterator[Completion]:
    """Files beside this one, and those of the zoo, in the quotes of an import."""
    own = Path(document.given.name)
    beside = [] if own.name == "<text>" else document.files.beside(own.parent)
    for path in dict.fromkeys([*beside, *sorted(zoo_folder().glob("*.cnn"))]):
        if path != own:
            yield Completion("file", path.name, path.name, _networks_of(document, path))


def _networks_of(document: Document, path: Path) -> str:
    return ", ".join(networks_in(path, document.files.read)[:8])


def _imported(document: Document, line: str) -> Iterator[Completion]:
    """Names of the file that an import names, or of all files of the zoo."""
    named = re.search(r'from[ \t]*"([^"]*)"', line)
    found = imported_file(document.source, named[1], document.files) if named else None
    for path in [found] if found else sorted(zoo_folder().glob("*.cnn")):
        try:
            text = document.files.read(path).text
        except CnnError:
            continue
        networks = networks_in(path, document.files.read)
        for kind, names in (("block", _BLOCK_LINE.findall(text)), ("network", networks)):
            for name in names:
                insert = name if named else f'{name} from "{path.name}"'
                yield Completion(kind, name, insert, f"{kind} of {path.name}")
