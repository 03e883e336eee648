"""`cnndsl check`: every finding in networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli import completion
from cnndsl.cli.common import network_text, output_format_option
from cnndsl.cli.parameters import Names
from cnndsl.cli.terminal import OUTPUT_FORMAT, log, show
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.diagnostics import Diagnostic
    from cnndsl.lint.selection import Selection


@click.command(
    "check",
    cls=Verb,
    examples=(
        "check my_net.cnn networks/",
        "check my_net.cnn --lint --ignore W0304",
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
@click.option("--lint", is_flag=True, help="Tell what is legal and often unwise, too: W03.")
@click.option(
    "--select",
    type=Names(),
    shell_complete=completion.warnings,
    help="The warnings that are wanted, of --lint too, by the beginnings of their codes, such as"
    " W02,W0305.",
)
@click.option(
    "--ignore",
    type=Names(),
    shell_complete=completion.warnings,
    default=(),
    help="The warnings that are not wanted; the longer beginning counts.",
)
@output_format_option
@click.pass_context
def command(
    ctx: click.Context,
    networks: Sequence[str],
    lint: bool,
    select: tuple[str, ...] | None,
    ignore: tuple[str, ...],
) -> int:
    """Report all errors and warnings; folders stand for all their .cnn files, - for stdin.

    Exits with 1 if there is any finding, with 2 if a file cannot be read.
    """
    from cnndsl.diagnostics import Severity

    selection = _selection(lint, select, ignore)
    specs = list(dict.fromkeys(file for spec in networks for file in _files(spec)))
    findings, unreadable = _check_all(specs, selection)
    if ctx.meta.get(OUTPUT_FORMAT) == "json" and not findings:
        click.echo("[]")
    show(findings, err=False)
    errors = sum(finding.severity == Severity.ERROR for finding in findings)
    log(
        f"{_count(len(specs), 'network file')}: "
        f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
    )
    return 2 if unreadable else 1 if findings else 0


def _files(spec: str) -> list[str]:
    """What stands for a network in an argument: the files of a folder, or itself."""
    from cnndsl.language.sources import iter_files

    if not os.path.isdir(spec):
        return [spec]
    return [str(file) for file in iter_files(Path(spec))] or [spec]


def _selection(lint: bool, select: tuple[str, ...] | None, ignore: tuple[str, ...]) -> Selection:
    """The warnings that are wanted. Raises UsageError for a code that no warning begins with."""
    from cnndsl.diagnostics.codes import CATALOGUE
    from cnndsl.lint.selection import LINTS, WARNINGS, Selection

    wanted = (WARNINGS,) if select is None else tuple(code.upper() for code in select)
    unwanted = tuple(code.upper() for code in ignore)
    for code in (*wanted, *unwanted):
        if not code.startswith("W") or not any(known.startswith(code) for known in CATALOGUE):
            raise click.UsageError(f"no warning has a code that begins with {code!r}")
    if lint and select is None:
        wanted = (*wanted, LINTS)
    elif lint and not any(code.startswith(LINTS) or LINTS.startswith(code) for code in wanted):
        raise click.UsageError(f"--lint asks for {LINTS}, which --select leaves out")
    return Selection(wanted, unwanted)


def _check_all(specs: Sequence[str], selection: Selection) -> tuple[list[Diagnostic], bool]:
    """All findings, each once, and whether there is a file that cannot be read."""
    from cnndsl.api import check
    from cnndsl.diagnostics import CnnError
    from cnndsl.language.sources import zoo

    found: list[Diagnostic] = []
    unreadable = False
    for spec in specs:
        try:
            if os.path.isdir(spec) and spec not in zoo():
                raise CnnError.of("E0601", f"no .cnn file in {spec}", file=spec)
            text = network_text(spec)
            found += check(text, select=selection.select, ignore=selection.ignore)
        except CnnError as error:
            found += error.diagnostics
            unreadable = unreadable or error.usage
    return list(dict.fromkeys(found)), unreadable


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
