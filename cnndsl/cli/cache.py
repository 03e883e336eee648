"""`cnndsl cache`: what is kept between runs."""

from __future__ import annotations

from dataclasses import asdict

import click

from cnndsl.cli.common import output_format_option
from cnndsl.cli.terminal import log, print_json, print_table
from cnndsl.cli.verb import Verb


@click.group("cache")
def command() -> None:
    """Show or clear what is kept between runs.

    These are the parser's tables, compiled kernels for CPUs and GPUs, what LLVM tells of CPUs, and
    what `tune` has measured.
    """


@command.command(
    "status",
    cls=Verb,
    examples=("cache status",),
)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def status(as_json: bool) -> int:
    """Tell where the cache is, and what each kind of entry takes."""
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.cache import LIMIT, cache_folder, is_private, usage

    folder, kinds = cache_folder(), usage()
    used = folder is not None and not (folder.exists() and not is_private(folder))
    if as_json:
        print_json(
            {
                "folder": str(folder) if folder else None,
                "used": used,
                "limit": LIMIT,
                "kinds": [asdict(kind) for kind in kinds],
            }
        )
        return 0
    click.echo(folder or "the cache is turned off")
    if folder and not used:
        log(f"it is not used, as others own it or may write to it: chmod 700 {folder}")
    if kinds:
        rows = [[kind.kind, str(kind.entries), si(kind.bytes, "B")] for kind in kinds]
        print_table([["kind", "entries", "size"], *rows], numbers=[1, 2])
    return 0


@command.command(
    "clear",
    cls=Verb,
    examples=("cache clear",),
)
@output_format_option
def clear_all() -> int:
    """Remove all entries, measurements included.

    These only `tune` makes anew; all else is made where it is needed.
    """
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.cache import clear, usage

    kinds = usage()
    clear()
    entries, size = sum(kind.entries for kind in kinds), sum(kind.bytes for kind in kinds)
    click.echo(f"{entries} entries removed, {si(size, 'B')} freed")
    return 0
