"""Recipes of texts: their items built, and those that a network is trained by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from cnndsl.diagnostics import CnnError, Diagnostic, Note, Source
from cnndsl.ir.attributes import AttributeValueError, build
from cnndsl.ir.graph import Graph
from cnndsl.language import tree as ast
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.messages import Consequence, Problem
from cnndsl.language.parse.parser import parse_expression
from cnndsl.language.paths import Path
from cnndsl.language.resolve import resolve_ingredient
from cnndsl.language.signatures import check_complete, match_arguments, signature_of
from cnndsl.language.units import NetworkItem, Unit
from cnndsl.language.values import Applicable, Frame
from cnndsl.recipes.augmentations import Crop
from cnndsl.recipes.fitting import misfits
from cnndsl.recipes.initialisers import Pretrained
from cnndsl.recipes.items import Item
from cnndsl.recipes.recipe import Entry, Recipe


@dataclass(frozen=True)
class Written:
    """A recipe of a text, the networks that it names, and where its items, by their `id`, stand."""

    recipe: Recipe
    networks: Collection[str]
    places: Mapping[int, ast.Name | ast.Call]

    def findings(self, graph: Graph) -> Iterator[Diagnostic]:
        """What does not suit a network of the declared size; calls of it may have another one."""
        for misfit in misfits(self.recipe, graph):
            place = self.places[id(misfit.item)]
            span = place.span
            if isinstance(misfit.item, Crop) and graph.name not in self.networks:
                continue
            if isinstance(place, ast.Call):
                given = match_arguments(_signature(misfit.item), place.arguments, span, set())
                span = given[misfit.argument].span if misfit.argument in given else span
            yield Diagnostic("W0210", misfit.message, span, misfit.hint)


def read_recipes(unit: Unit) -> None:
    """Build the recipes of a resolved file; what is wrong goes into its findings."""
    for tree in unit.tree.items:
        if isinstance(tree, ast.RecipeDefinition):
            written = _written(unit, tree)
            for name in tree.networks:
                unit.recipes.setdefault(name.text, written)


def recipe_of(unit: Unit, item: NetworkItem) -> Written | None:
    """The recipe of a network: that of its name, or of the network that it is a call of.

    A file's own recipe comes before that of the file which its network is imported from.
    """
    seen: list[NetworkItem] = []
    while item not in seen:
        seen.append(item)
        owner, _ = unit.networks.get(item.name.text, (unit, item))
        for file in (unit, owner):
            found: Written | None = file.recipes.get(item.name.text)
            if found is not None:
                return found
        called = _called(item)
        if called in owner.networks:
            unit, item = owner, owner.networks[called][1]
    return None


def _called(item: NetworkItem) -> str:
    """The network that one is a call of, by name; empty if it is no call."""
    call = item.call if isinstance(item, ast.Alias) else None
    callee = call.callee if isinstance(call, ast.Call) else call
    return callee.text if isinstance(callee, ast.Name) else ""


def read_item(text: str, option: str) -> Item:
    """An item as a recipe would say it, from an option. Raises CnnError with what is wrong."""
    shown = f"{option}={text}"
    source = Source("<option>", shown)
    try:
        place = parse_expression(source, len(option) + 1, len(shown))
    except CnnError as error:
        raise CnnError(error.diagnostics, usage=True) from None
    if not isinstance(place.callee if isinstance(place, ast.Call) else place, ast.Name):
        hint = "such as sgd(rate=0.1)"
        found = Diagnostic("E0201", "this is no item of a recipe", place.span, hint)
        raise CnnError([found], usage=True)
    unit = Unit(source, ast.File(place.span, source, ()), [])
    resolve_ingredient(unit, place)
    if unit.findings:
        raise CnnError(unit.findings, usage=True)
    try:
        return built(unit, place)
    except Problem as problem:
        raise CnnError([problem.diagnostic], usage=True) from None


def _written(unit: Unit, tree: ast.RecipeDefinition) -> Written:
    entries: list[Entry] = []
    places: dict[int, ast.Name | ast.Call] = {}
    slots: dict[str, ast.Tree] = {}
    for place in tree.ingredients:
        try:
            item = built(unit, place)
            _alone(item, place, slots)
        except Problem as problem:
            if not problem.is_consequence:
                unit.findings.append(problem.diagnostic)
            continue
        places[id(item)] = place
        entries.append(Entry(item, f"{FilePath(unit.source.name).name}:{place.span.line}"))
    names = {name.text for name in tree.networks}
    return Written(Recipe(tuple(entries)), names, places)


def _alone(item: Item, place: ast.Tree, slots: dict[str, ast.Tree]) -> None:
    """Raise Problem for a second item of a slot that takes one."""
    first = slots.setdefault(item.slot, place)
    if first is not place and not item.several:
        notes = [Note("the first one", first.span)]
        raise Problem("E0225", f"a recipe has one {item.slot}", place.span, notes=notes)


def built(unit: Unit, place: ast.Name | ast.Call) -> Item:
    """The item that a name or a call in a recipe says. Raises Problem."""
    callee = place.callee if isinstance(place, ast.Call) else place
    kind: Any = unit.meanings.get(id(callee))
    if kind is None:
        raise Consequence(place.span)
    arguments = place.arguments if isinstance(place, ast.Call) else ()
    matched = match_arguments(signature_of(kind), arguments, place.span, set())
    check_complete(signature_of(kind), set(matched), place.span)
    evaluator = Evaluator(_no_chain)
    frame = Frame(unit, {}, {}, Path())
    values = {
        name: _plain(evaluator.evaluate(given.value, frame)) for name, given in matched.items()
    }
    try:
        item: Item = build(kind, values)
    except AttributeValueError as error:
        raise Problem("E0309", f"{kind.name}: {error}", matched[error.name].span) from None
    if isinstance(item, Pretrained) and unit.source.name != "<text>":
        return replace(item, file=str(FilePath(unit.source.name).parent / item.file))
    return item


def _signature(item: Item) -> Any:
    return signature_of(type(item))


def _no_chain(chain: ast.Chain, frame: Frame) -> Any:
    raise Problem("E0210", "a recipe has no value of the network", chain.span)


def _plain(value: Any) -> Any:
    """An operator, also in a list, as itself."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    bare = isinstance(value, Applicable) and not value.given
    return value.target if bare and isinstance(value.target, type) else value
