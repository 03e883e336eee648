"""`cnndsl fmt`: networks in their canonical form."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import click

from cnndsl.cli.common import network_text, output_format_option
from cnndsl.cli.terminal import log, show_error
from cnndsl.cli.verb import Verb


@click.command(
    "fmt",
    cls=Verb,
    examples=(
        "fmt my_net.cnn networks/",
        "fmt - < my_net.cnn",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@output_format_option
def command(files: Sequence[str], check: bool, diff: bool) -> int:
    """Rewrite files in canonical form; folders stand for all their .cnn files.

    What comes from stdin, -, goes to stdout.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.format.formatter import format_source
    from cnndsl.language.sources import iter_files, read_source
    from cnndsl.runtime.files import atomic_write

    paths: list[Path] = []
    for given in files:
        found = list(iter_files(Path(given))) if given else []
        if not found:
            what = f"no .cnn file in {given}" if given else "no file ''"
            raise CnnError.of("E0601", what)
        paths += found
    changed, code = 0, 0
    for path in paths:
        is_stream = str(path) == "-"
        try:
            text = network_text("-") if is_stream else read_source(path).text
            stored = text.encode() if is_stream else path.read_bytes()
            formatted = format_source(text, str(path))
        except CnnError as error:
            show_error(error)
            code = max(code, 2 if error.usage else 1)
            continue
        if is_stream and not (check or diff):
            click.echo(formatted, nl=False)
        if formatted.encode() == stored:
            continue
        changed += 1
        if diff:
            _print_diff(path, text, formatted)
        elif check:
            click.echo(f"{path} would be reformatted")
        elif not is_stream:
            with atomic_write(path) as file:
                file.write(formatted.encode())
            click.echo(f"{path} reformatted")
    if not changed and not code:
        log("all files are in canonical form")
    return max(code, 1) if changed and (check or diff) else code


def _print_diff(path: Path, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""
    )
    shown = "\n".join(lines)
    click.echo(shown or f"{path}: only the ends of lines or a byte order mark would change")
