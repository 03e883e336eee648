"""`cnndsl check`: every finding in networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli import completion
from cnndsl.cli.common import OUTPUT_FORMAT, log, network_text, output_format_option, show
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.diagnostics import Diagnostic


@click.command(
    "check",
    cls=Verb,
    examples=(
        "check my_net.cnn networks/",
        "check - --output-format json < my_net.cnn",
    ),
)
@click.argument(
    "networks",
    nargs=-1,
    required=True,
    metavar="NETWORK...",
    shell_complete=completion.networks,
)
@output_format_option
@click.pass_context
def command(ctx: click.Context, networks: Sequence[str]) -> int:
    """Report all errors and warnings; folders stand for all their .cnn files, - for stdin.

    Exits with 1 if there is any finding, with 2 if a file cannot be read.
    """
    from cnndsl.diagnostics import CnnError, Severity
    from cnndsl.language.sources import iter_files

    specs = [
        str(file)
        for spec in networks
        for file in (iter_files(Path(spec)) if Path(spec).is_dir() else [spec])
    ]
    if not specs:
        raise CnnError.of("E0601", f"no .cnn file in {', '.join(networks)}")
    findings, unreadable = _check_all(specs)
    if ctx.meta.get(OUTPUT_FORMAT) == "json" and not findings:
        click.echo("[]")
    show(findings, err=False)
    errors = sum(finding.severity == Severity.ERROR for finding in findings)
    log(
        f"{_count(len(specs), 'network file')}: "
        f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
    )
    return 2 if unreadable else 1 if findings else 0


def _check_all(specs: Sequence[str]) -> tuple[list[Diagnostic], bool]:
    """All findings, each once, and whether there is a file that cannot be read."""
    from cnndsl.api import check
    from cnndsl.diagnostics import CnnError

    found: list[Diagnostic] = []
    unreadable = False
    for spec in specs:
        try:
            found += check(network_text(spec))
        except CnnError as error:
            found += error.diagnostics
            unreadable = unreadable or error.usage
    return list(dict.fromkeys(found)), unreadable


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
