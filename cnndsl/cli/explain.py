"""`cnndsl explain`: what a code, an operator, an item of a recipe or a pass means."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING

import click

from cnndsl.cli import completion
from cnndsl.cli.terminal import print_table
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.operator import Operator
    from cnndsl.recipes.items import Item


@click.command(
    "explain",
    cls=Verb,
    examples=(
        "explain E0203",
        "explain conv",
        "explain sgd",
        "explain fuse-bn",
        "explain",
    ),
)
@click.argument("name", required=False, shell_complete=completion.explained)
def command(name: str | None) -> int:
    """Explain a code, an operator, an item of a recipe, or a pass.

    Without a name, list all codes.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.codes import CATALOGUE
    from cnndsl.ir.operators import BY_NAME
    from cnndsl.language.messages import meant
    from cnndsl.passes.pipeline import passes
    from cnndsl.recipes.registry import ITEMS

    steps = {step.name: step for step in passes()}
    if name is None:
        print_table([[code, entry.title] for code, entry in sorted(CATALOGUE.items())])
    elif entry := CATALOGUE.get(name.upper()):
        click.echo(f"{name.upper()}: {entry.title}\n\n{entry.text.strip()}")
    elif name in BY_NAME or name in ITEMS:
        if name in BY_NAME:
            _explain_operator(BY_NAME[name])
        if name in ITEMS:
            _explain_item(ITEMS[name])
    elif name in steps:
        step = steps[name]
        click.echo(f"{name}: {step.algebra}\n\n{inspect.getdoc(type(step))}")
    else:
        close = difflib.get_close_matches(name.upper(), CATALOGUE)
        names = [*BY_NAME, *ITEMS, *steps]
        hint = f"did you mean {', '.join(close)}?" if close else meant(name, names)
        known = "cnndsl explain lists all codes, cnndsl list ops, recipes and passes the others"
        raise CnnError.of("E0609", f"there is nothing called {name!r}", hint=hint or known)
    return 0


def _explain_item(item: type[Item]) -> None:
    """Signature, meaning, formula and source, and the arguments."""
    from cnndsl.reference import Reference

    known = Reference(item)
    click.echo(f"In recipes, {item.slot}: {known.signature}\n\n{known.text}")
    if table := known.attribute_table():
        click.echo()
        print_table(table)


def _explain_operator(operator: type[Operator]) -> None:
    """Signature, meaning, formula and source, the attributes, an example, names elsewhere."""
    from cnndsl.reference import Reference

    known = Reference(operator)
    click.echo(f"{known.signature}\n\n{known.text}")
    if table := known.attribute_table():
        click.echo()
        print_table(table)
    indented = known.example.replace("\n", "\n    ")
    click.echo(f"\nFor example\n\n    {indented}\n\n{known.made()}.")
    if window := known.window():
        click.echo(f"\nWhat the first results read on the last axis:\n\n{window}\n")
    if called := known.called():
        click.echo(f"Elsewhere: {called}.")
