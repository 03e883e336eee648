"""`cnndsl check`: every finding in networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from cnndsl.cli.common import OUTPUT_FORMAT, log, output_format_option, show


@click.command("check")
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
@output_format_option
@click.pass_context
def command(ctx: click.Context, networks: Sequence[str]) -> int:
    """Report all errors and warnings; folders stand for all their .cnn files.

    Exits with 1 if there is any finding.
    """
    from cnndsl.api import check
    from cnndsl.diagnostics import CnnError, Severity
    from cnndsl.language.sources import iter_files

    specs = [
        str(file)
        for spec in networks
        for file in (iter_files(Path(spec)) if Path(spec).is_dir() else [spec])
    ]
    if not specs:
        raise CnnError.of("E0601", f"no .cnn file in {', '.join(networks)}")
    found = [finding for spec in specs for finding in check(spec)]
    findings = list(dict.fromkeys(found))
    if ctx.meta.get(OUTPUT_FORMAT) == "json" and not findings:
        click.echo("[]")
    show(findings, err=False)
    errors = sum(finding.severity == Severity.ERROR for finding in findings)
    log(
        f"{_count(len(specs), 'network file')}: "
        f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
    )
    return 1 if findings else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
