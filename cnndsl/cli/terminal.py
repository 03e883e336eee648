"""What people see: findings, progress and tables."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cnndsl.diagnostics.signs import shown
from cnndsl.diagnostics.table import columns_that_fit, table_lines
from cnndsl.runtime.options import silent

if TYPE_CHECKING:
    from cnndsl.diagnostics import CnnError, Diagnostic
    from cnndsl.runtime.module import Module
    from cnndsl.runtime.options import Progress

OUTPUT_FORMAT = "cnndsl.output_format"
STYLES: dict[str, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "note": {"fg": "cyan"},
    "frame": {"fg": "blue"},
    "message": {"bold": True},
}


def show(diagnostics: Sequence[Diagnostic], *, err: bool = True) -> None:
    """Print findings in the format that the user asked for; colours on a terminal only."""
    from cnndsl.diagnostics import render

    if not diagnostics:
        return
    output_format = click.get_current_context().meta.get(OUTPUT_FORMAT, "text")
    click.echo(render.render(diagnostics, output_format, _paint), err=err, color=_colour())


def show_remarks(module: Module) -> None:
    """Print the findings of a compilation, and a line for each decision that was left to it."""
    show(module.warnings)
    for remark in module.remarks:
        log(remark)


def show_error(error: CnnError) -> None:
    """Print all findings of a failed attempt on stderr."""
    show(error.diagnostics)


def _paint(content: str, role: str) -> str:
    return click.style(content, **STYLES[role])


def _colour() -> bool | None:
    """None lets click decide by the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def log(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(shown(text), err=True)


@contextmanager
def stage(name: str) -> Iterator[list[str]]:
    """Time a stage of work; logs its name, its time, and what the block put into the list."""
    facts: list[str] = []
    begin = time.perf_counter()
    yield facts
    log(f"{name:<8} {time.perf_counter() - begin:7.2f} s  {', '.join(facts)}".rstrip())


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr for each kind of work that is told of, if that is a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn
    from rich.progress import Progress as Bar

    columns = (*Bar.get_default_columns()[:2], MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield show_progress


def print_json(data: Any) -> None:
    """Write data for machines to stdout."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(
    rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = (), keeps_all: bool = True
) -> None:
    """Aligned columns on stdout; those with an index in `numbers` are aligned to the right.

    On a terminal long cells are wrapped to fit it. Unless `keeps_all`, the last columns are left
    out where it has no room for them; a line on stderr names them.
    """
    width = shutil.get_terminal_size().columns if is_terminal() else None
    count = len(rows[0]) if width is None or keeps_all else columns_that_fit(rows, width)
    if missing := rows[0][count:]:
        log(f"no room for {', '.join(missing)}: try a wider terminal, or --json")
    rows = [row[:count] for row in rows]
    for line in table_lines(rows, numbers, width):
        click.echo(line)


def is_terminal() -> bool:
    """Whether stdout is watched by a person."""
    return sys.stdout.isatty()
