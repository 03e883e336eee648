"""`cnndsl explain`: what a code of a finding means."""

from __future__ import annotations

import difflib

import click

from cnndsl.cli.common import print_table
from cnndsl.cli.verb import Verb


@click.command(
    "explain",
    cls=Verb,
    examples=(
        "explain E0203",
        "explain",
    ),
)
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """Explain a finding's code, such as E0203; without a code, list all."""
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.codes import CATALOGUE

    if code is None:
        print_table([[name, entry.title] for name, entry in sorted(CATALOGUE.items())])
        return 0
    entry = CATALOGUE.get(code.upper())
    if entry is None:
        close = difflib.get_close_matches(code.upper(), CATALOGUE)
        hint = f"did you mean {', '.join(close)}?" if close else "cnndsl explain lists all codes"
        raise CnnError.of("E0609", f"there is no code {code!r}", hint=hint)
    click.echo(f"{code.upper()}: {entry.title}\n\n{entry.text.strip()}")
    return 0
