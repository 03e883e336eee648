"""The names of a model's modules as labels and names of blocks in a text.

A path such as `layer1.0.conv1` says in which module a node was. What stands in one module in the
network itself gets its name as a label, `layer1: { … }`; a block whose every use is one module of
the same class gets the name of the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeAlias

from cnndsl.decompile.decompiled import Decompiled, made_of
from cnndsl.decompile.names import KEYWORDS, KNOWN
from cnndsl.decompile.verify import matched
from cnndsl.diagnostics import CnnError, Source
from cnndsl.format.formatter import WIDTH, format_source
from cnndsl.language import tree as ast
from cnndsl.language.functions import SHAPE_NAMES
from cnndsl.language.parse.parser import parse_file

Path: TypeAlias = tuple[str, ...]
_Edit: TypeAlias = tuple[int, int, str]
"""Where a text is changed, and what stands there then."""

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLACE = "step{}_"
"""Labels by which the nodes of a step are found."""


@dataclass(frozen=True)
class Modules:
    """The path of each node that has one, and the class of each module that is known, by path."""

    paths: Mapping[str, Path]
    classes: Mapping[Path, str]


def labelled(found: Decompiled, name: str, modules: Modules) -> Decompiled:
    """The text with names of modules, as far as there are; it still makes the same graph."""
    if not modules.paths:
        return found
    for changes in ((_with_classes,), (_with_labels, _with_labels_alone)):
        for change in changes:
            try:
                changed = change(found, modules)
                if changed == found.text:
                    break
                text = format_source(changed)
                again = made_of(text, name)
            except CnnError:
                continue
            names = matched(found.graph, again)
            if names is not None:
                known = {node: names[old] for node, old in found.names.items()}
                found = Decompiled(text, again, known)
                break
    return found


# Names of blocks


def _with_classes(found: Decompiled, modules: Modules) -> str:
    """The text with blocks called like the classes of the modules that their layers are in."""
    named = {found.names[node]: path for node, path in modules.paths.items()}
    paths = {node: path for node, path in named.items() if found.graph[node].params}
    uses: dict[str, list[tuple[str | None, int]]] = {}
    for scope, block in found.graph.scopes.items():
        inside = [path for node, path in paths.items() if node.startswith(f"{scope}.")]
        uses.setdefault(block, []).append((modules.classes.get(_common(inside)), len(inside)))
    sizes: dict[str, list[tuple[int, str]]] = {}
    for block, instances in uses.items():
        kinds = {kind for kind, _ in instances}
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind and not kind.startswith("torch."):
            size = max(size for _, size in instances)
            sizes.setdefault(_snake(kind), []).append((size, block))
    text = found.text
    taken = {*_WORD.findall(text), *KNOWN}
    for wanted, blocks in sizes.items():
        if wanted not in taken:
            text = re.sub(rf"\b{max(blocks)[1]}\b", wanted, text)
    return text


def _snake(kind: str) -> str:
    """The last word of a class's name as a name of the language: basic_block."""
    word = re.sub(r"\W", "", kind.rpartition(".")[2]).strip("_")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()


def _common(paths: Iterable[Path]) -> Path:
    """The module that all paths lead into."""
    shared: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return tuple(shared)


# Labels


@dataclass(frozen=True)
class _Place:
    """A step of the network: where it stands, the module that it is in, whether layers are in it.

    What has no parameters is in the module before it, unless its own path says otherwise.
    """

    statement: ast.Statement
    step: ast.Step
    module: str | None
    is_layer: bool


def _with_labels(found: Decompiled, modules: Modules, *, cut: bool = True) -> str:
    """The text with labels in its network, its statements cut where modules end."""
    places = _places(found, modules)
    runs = [(module, list(run)) for module, run in groupby(places, key=lambda p: p.module)]
    counts = Counter(module for module, _ in runs)
    edits: list[_Edit] = []
    for module, run in runs:
        if module and counts[module] == 1 and module not in KEYWORDS:
            edits += _label(module, run, cut)
    return _edited(found.text, edits)


def _with_labels_alone(found: Decompiled, modules: Modules) -> str:
    """The text with labels where its statements can stay what they are."""
    return _with_labels(found, modules, cut=False)


def _label(module: str, run: Sequence[_Place], cut: bool) -> list[_Edit]:
    """A label before a step, or before several in braces, on one line where they fit there."""
    first, last = run[0], run[-1]
    start, end = first.step.span.start, last.step.span.end
    if sum(place.is_layer for place in run) == 1 and first.is_layer:
        return [(start, start, f"{module}: ")]
    chains = isinstance(first.statement, ast.Chain) and isinstance(last.statement, ast.Chain)
    if first.statement is last.statement and not (cut and chains):
        return [(start, start, f"{module}: {{ "), (end, end, " }")]
    if not chains:
        return []
    before = [step.span.end for step in _steps_of(first) if step.span.end <= start]
    behind = [step.span.start for step in _steps_of(last) if step.span.start >= end]
    if (before or behind) and not cut:
        return []
    opened, above = (before[-1], "\n") if before else (start, "")
    closed, below = (behind[0], "\n") if behind else (end, "")
    joined = _joined(module, run)
    inner = "\n" if joined is None else " "
    return [
        (opened, start, f"{above}{module}: {{{inner}"),
        *(_unbroken(run) if joined is None else joined),
        (end, closed, f"{inner}}}{below}"),
    ]


def _unbroken(run: Sequence[_Place]) -> Iterator[_Edit]:
    """The steps of a statement on one line, which the formatter breaks again where it has to."""
    for a, b in pairwise(run):
        start, end = a.step.span.end, b.step.span.start
        between = a.step.span.source.text[start:end]
        if a.statement is b.statement and between.split() == ["->"]:
            yield start, end, " -> "


def _steps_of(place: _Place) -> Sequence[ast.Step]:
    return place.statement.steps if isinstance(place.statement, ast.Chain) else ()


def _joined(module: str, run: Sequence[_Place]) -> list[_Edit] | None:
    """What makes one chain of the statements of a run; None where it would be long, or another.

    Sizes that a call names are those where its statement starts.
    """
    statements = [list(part) for _, part in groupby(run, key=lambda place: id(place.statement))]
    bounds = [(part[0].step.span.start, part[-1].step.span.end) for part in statements]
    texts = [run[0].step.span.source.text[start:end] for start, end in bounds]
    if (
        not all(isinstance(part[0].statement, ast.Chain) for part in statements)
        or any("\n" in text for text in texts)
        or any(SHAPE_NAMES.keys() & _WORD.findall(text) for text in texts[1:])
        or len(f"    {module}: {{ {' -> '.join(texts)} }}") > WIDTH
    ):
        return None
    return [(end, start, " -> ") for (_, end), (start, _) in pairwise(bounds)]


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    for start, end, more in sorted(edits, reverse=True):
        text = text[:start] + more + text[end:]
    return text


def _places(found: Decompiled, modules: Modules) -> list[_Place]:
    """The steps of the network with their modules. Raises CnnError."""
    plain = found.graph
    steps = list(_steps(parse_file(Source("<labelled>", found.text)), plain.name))
    places = [step.span.start for _, step in steps]
    marks = [(at, at, f"{_PLACE.format(i)}: ") for i, at in enumerate(places)]
    where = matched(plain, made_of(_edited(found.text, marks), plain.name))
    if where is None:
        return []
    root = len(_common(path[:-1] for path in modules.paths.values()))
    inside: dict[str, dict[bool, set[str]]] = {}
    for node, path in modules.paths.items():
        name = found.names[node]
        is_layer = bool(plain[name].params)
        if is_layer or len(path) > root + 1:
            mark = inside.setdefault(where[name].partition(".")[0], {})
            mark.setdefault(is_layer, set()).add(path[root])
    result: list[_Place] = []
    for index, (statement, step) in enumerate(steps):
        known = inside.get(_PLACE.format(index), {})
        is_layer = True in known
        names = known.get(is_layer, set())
        module = next(iter(names)) if len(names) == 1 else None
        before = result[-1] if result else None
        if before and not is_layer and module is None and before.statement is statement:
            module = before.module
        elif not is_layer and not (before and module == before.module):
            module = None
        is_word = module and _WORD.fullmatch(module)
        result.append(_Place(statement, step, module if is_word else None, is_layer))
    return result


def _steps(tree: ast.File, name: str) -> Iterator[tuple[ast.Statement, ast.Step]]:
    """The steps of the network, but names of values, each with its statement."""
    (network,) = (i for i in tree.items if isinstance(i, ast.Definition) and i.name.text == name)
    values: set[str] = set()
    for statement in network.body.statements:
        match statement:
            case ast.InputDeclaration() | ast.LayerDeclaration():
                values.add(statement.name.text)
            case ast.Chain() | ast.OutputDeclaration() | ast.Let():
                chain = statement if isinstance(statement, ast.Chain) else statement.chain
                for step in chain.steps:
                    if not (isinstance(step.element, ast.Name) and step.element.text in values):
                        yield statement, step
                if isinstance(statement, ast.Let):
                    values |= {word.text for word in statement.names}
