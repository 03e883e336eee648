"""Where a command may write: never over what it reads, nor over the text of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def check_output(
    path: Path,
    sources: Iterable[str | Path | None],
    *suffixes: str,
    network_text: bool = False,
    devices: bool = True,
) -> Path:
    """The path of an output, before anything is computed for it.

    `sources` are the files that the command reads, or what may be files. Raises CnnError: E0612
    if the path is one of them, or a `.cnn` file that would become something else than a
    `network_text`, E0613 if it has none of the suffixes, E0602 if nothing can be written there, or
    it is a pipe or a device where these are no `devices` to write to.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.files import check_place, check_suffix

    if any(_same_file(path, source) for source in sources if source is not None):
        raise CnnError.of(
            "E0612", f"{path} is an input of this command", hint="write to another file"
        )
    names = (path, Path(os.path.realpath(path)))
    if not network_text and any(name.suffix.lower() == ".cnn" for name in names):
        problem = f"{path} is named like a network, and the output is none"
        raise CnnError.of("E0612", problem, hint="write to another file")
    if suffixes:
        check_suffix(path, *suffixes)
    check_place(path, devices=devices)
    return path


def output_option(default: str) -> Callable[[F], F]:
    """-o, --output, as `in_folder` takes it; `default` tells the name of the file without it."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(),
        callback=_not_empty,
        help=f"A file, or a folder for `model` and suffix. Default: {default}.",
    )


def _not_empty(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A name; without letters it would be that of the working folder."""
    if value == "":
        raise click.BadParameter("it is empty", context, option)
    return value


def in_folder(output: str | None, suffix: str) -> Path | None:
    """What -o gives as a path, if it does.

    In a folder, which is made if the output ends in a slash, it is `model` with the suffix.
    Raises CnnError (E0602) if the folder cannot be made.
    """
    if output is None:
        return None
    path = Path(output)
    if not output.endswith((os.sep, "/")) and not path.is_dir():
        return path
    make_folder(path)
    return path / f"model{suffix}"


def make_folder(path: Path) -> None:
    """Make a folder unless it is there. Raises CnnError (E0602)."""
    from cnndsl.diagnostics import CnnError

    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise CnnError.of("E0602", f"cannot make the folder {path}: {error.strerror}") from None


def _same_file(path: Path, source: str | Path) -> bool:
    """Whether both are one regular file; devices can be read and written at a time."""
    return os.path.isfile(path) and os.path.isfile(source) and os.path.samefile(path, source)
