"""Recipes where the command line says them otherwise than the network's text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.terminal import log

if TYPE_CHECKING:
    from cnndsl.network import Network
    from cnndsl.recipes.items import Item
    from cnndsl.recipes.recipe import Recipe

CHOICES = ("loss", "optimiser", "schedule")
"""Options that take an item: `--optimiser 'sgd(rate=0.1)'`, or its name alone."""

SINGLE = (
    *("warmup", "epochs", "steps", "batch", "clip", "average", "precision"),
    *("flip", "shift", "pca_colour"),
)
"""Options that take the arguments of the item of their name: `--batch 32`."""

ARGUMENTS = {
    "smoothing": "loss",
    "rate": "optimiser",
    "momentum": "optimiser",
    "decay": "optimiser",
    "factor": "schedule",
    "every": "schedule",
}
"""Options that change an argument of an item, by the slot of that: `--rate 0.1`."""


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options above; the command gets a function from a network to its recipe as `recipe`."""

    @wraps(command)
    def with_recipe(*arguments: Any, **options: Any) -> Any:
        taken = (*CHOICES, *ARGUMENTS, *SINGLE, "added", "left_out", "source")
        given = {name: options.pop(name) for name in taken}
        return command(*arguments, recipe=lambda network: _chosen(network, given), **options)

    made: Callable[..., Any] = with_recipe
    for option in reversed(_options()):
        made = option(made)
    return made


def _options() -> list[Callable[..., Any]]:
    from cnndsl.recipes.registry import ITEMS, of_slot

    def first_line(item: Any) -> str:
        return (item.__doc__ or "").partition("\n")[0]

    choices = [
        click.option(f"--{slot}", metavar="ITEM", help=f"One of {', '.join(of_slot(slot))}.")
        for slot in CHOICES
    ]
    arguments = [
        click.option(f"--{name}", type=float, help=f"The argument {name} of the {slot}.")
        for name, slot in ARGUMENTS.items()
    ]
    single = [
        click.option(f"--{name.replace('_', '-')}", metavar="VALUE", help=first_line(ITEMS[name]))
        for name in SINGLE
    ]
    return [
        click.option(
            "--recipe", "source", metavar="NETWORK", help="Take the recipe of that, or `none`."
        ),
        *choices,
        *arguments,
        *single,
        click.option(
            "--with",
            "added",
            metavar="ITEM",
            multiple=True,
            help="Another item, such as 'random_crop([256, 480])'.",
        ),
        click.option("--without", "left_out", metavar="NAME", multiple=True, help="Not this item."),
    ]


def _chosen(network: Network, given: Mapping[str, Any]) -> Recipe:
    """The recipe that a network is trained by. Raises CnnError for what does not suit it."""
    from cnndsl.diagnostics import CnnError
    from cnndsl.recipes.fitting import misfits

    recipe = _without(_source(network, given["source"]), given["left_out"])
    for slot in CHOICES:
        recipe = _with_choice(recipe, slot, given[slot])
    for name in SINGLE:
        if given[name] is not None:
            option = f"--{name.replace('_', '-')}"
            if not given[name].strip():
                raise CnnError.of("E0615", f"{option} is empty")
            recipe = recipe.changed([_read(f"{name}({given[name]})", option)], option)
    for text in given["added"]:
        recipe = recipe.added(_read(text, "--with"), "--with")
    for name, slot in ARGUMENTS.items():
        if given[name] is not None:
            recipe = _with_argument(recipe, slot, name, given[name])
    for misfit in misfits(recipe, network.graph):
        raise CnnError.of("E0225", f"{misfit.item.text()}: {misfit.message}", hint=misfit.hint)
    return recipe


def _source(network: Network, other: str | None) -> Recipe:
    """The recipe to start from: the network's, that of another one, or none."""
    from cnndsl.api import parse
    from cnndsl.diagnostics import CnnError
    from cnndsl.recipes.recipe import Recipe

    if other == "none":
        return Recipe()
    found = network.recipe if other is None else parse(other).recipe
    if found is None and other is not None:
        raise CnnError.of("E0615", f"{other} has no recipe", hint="--recipe none")
    return found or Recipe()


def _without(recipe: Recipe, names: tuple[str, ...]) -> Recipe:
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.spelling import did_you_mean

    known = [entry.item.name for entry in recipe.entries]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"it has: {', '.join(known) or 'nothing'}"
            raise CnnError.of("E0615", f"the recipe has no {name!r}", hint=hint)
    kept = tuple(entry for entry in recipe.entries if entry.item.name not in names)
    return replace(recipe, entries=kept)


def _with_choice(recipe: Recipe, slot: str, text: str | None) -> Recipe:
    """Another item of a slot; a name alone keeps the item of that name that is there."""
    from cnndsl.diagnostics import CnnError
    from cnndsl.recipes.registry import of_slot

    if text is None or text in [e.item.name for e in recipe.entries if e.item.slot == slot]:
        return recipe
    item = _read(text, f"--{slot}")
    if item.slot != slot:
        hint = f"there are: {', '.join(of_slot(slot))}"
        raise CnnError.of("E0615", f"{item.name} is no {slot}", hint=hint)
    return recipe.changed([item], f"--{slot}")


def _with_argument(recipe: Recipe, slot: str, name: str, value: float) -> Recipe:
    from cnndsl.diagnostics import CnnError
    from cnndsl.ir.attributes import AttributeValueError, build
    from cnndsl.recipes.losses import CrossEntropy
    from cnndsl.recipes.recipe import BY_DEFAULT, Entry

    there = [entry for entry in recipe.whole() if entry.item.slot == slot]
    entry = there[0] if there else Entry(CrossEntropy(), BY_DEFAULT)
    item = entry.item
    if name not in item.arguments():
        hint = f"it has: {', '.join(item.arguments()) or 'none'}"
        raise CnnError.of("E0615", f"--{name}: {item.name} has no argument {name!r}", hint=hint)
    try:
        changed: Item = build(type(item), {**item.values(), name: value})
    except AttributeValueError as error:
        raise CnnError.of("E0615", f"--{name}: {item.name}: {error}") from None
    return recipe.changed([changed], f"{entry.origin}, --{name}")


def _read(text: str, option: str) -> Item:
    from cnndsl.language.recipes import read_item

    return read_item(text, option)


def show_recipe(recipe: Recipe) -> None:
    """All items, and who says each, on stderr."""
    rows = [[entry.item.slot, entry.item.text(), entry.origin] for entry in recipe.whole()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for slot, text, origin in rows:
        log(f"{slot:<{widths[0]}}  {text:<{widths[1]}}  {origin}")
