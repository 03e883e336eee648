"""`cnndsl explain`: what a code of a finding, an operator or a pass means."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

import click

from cnndsl.cli import completion
from cnndsl.cli.common import print_table
from cnndsl.cli.list import default_text, signature
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.operator import Operator


@click.command(
    "explain",
    cls=Verb,
    examples=(
        "explain E0203",
        "explain conv",
        "explain fuse-bn",
        "explain",
    ),
)
@click.argument("name", required=False, shell_complete=completion.explained)
def command(name: str | None) -> int:
    """Explain a finding's code such as E0203, an operator such as conv, or a pass.

    Without a name, list all codes.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.codes import CATALOGUE
    from cnndsl.ir.operators import BY_NAME
    from cnndsl.language.messages import meant
    from cnndsl.passes.pipeline import passes

    steps = {step.name: step for step in passes()}
    if name is None:
        print_table([[code, entry.title] for code, entry in sorted(CATALOGUE.items())])
    elif entry := CATALOGUE.get(name.upper()):
        click.echo(f"{name.upper()}: {entry.title}\n\n{entry.text.strip()}")
    elif name in BY_NAME:
        _explain_operator(BY_NAME[name])
    elif name in steps:
        step = steps[name]
        click.echo(f"{name}: {step.algebra}\n\n{inspect.getdoc(type(step))}")
    else:
        close = difflib.get_close_matches(name.upper(), CATALOGUE)
        hint = f"did you mean {', '.join(close)}?" if close else meant(name, [*BY_NAME, *steps])
        known = "cnndsl explain lists all codes, cnndsl list ops and passes the others"
        raise CnnError.of("E0609", f"there is nothing called {name!r}", hint=hint or known)
    return 0


def _explain_operator(operator: type[Operator]) -> None:
    """Signature, meaning, formula and source, and a table of the attributes."""
    click.echo(f"{signature(operator)}\n\n{inspect.getdoc(operator)}")
    if operator.operands is None:
        click.echo(f"\nA join: {operator.name} {{ a | b }}, of two values or more.")
    rows = [
        [field.name, _default(field.default), field.metadata["kind"].says]
        for field in fields(operator)
    ]
    if rows:
        click.echo()
        print_table([["attribute", "default", "takes"], *rows])


def _default(value: object) -> str:
    return "needed" if value is MISSING else "" if value is None else default_text(value)
